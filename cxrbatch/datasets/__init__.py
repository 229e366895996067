"""Labelled radiographs: published collections, own folders and tables, near-duplicates."""
