"""Take PCR results back in."""
