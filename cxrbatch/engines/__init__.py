"""Engines turn image references into outcomes: read, gate, preprocess, infer."""
