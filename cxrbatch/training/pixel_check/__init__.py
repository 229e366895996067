"""Train the pixel check, which recognises frontal chest radiographs."""
