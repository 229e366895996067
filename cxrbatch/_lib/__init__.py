"""Helpers that are independent of radiographs: files, text, tables, clocks, threads."""
