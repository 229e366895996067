"""Decode compressed pixel data, all of it or as much as is needed."""
