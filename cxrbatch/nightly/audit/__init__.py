"""What the list was worth at this hospital, by the PCR results that came back. Every figure: ``docs/audit.md``."""
