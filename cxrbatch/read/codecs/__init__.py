"""Decode compressed pixel data, in full or at a fraction of the size."""
