"""Train the pixel check: which images are frontal chest radiographs."""
