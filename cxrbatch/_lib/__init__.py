"""Helpers that know no radiograph: files, text, tables, clocks, threads."""
