"""Measure what the list was worth at this hospital, by the PCR results that came back."""
