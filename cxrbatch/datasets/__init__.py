"""Labelled radiographs: published layouts, near-duplicates, and who may teach."""
