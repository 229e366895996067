"""Screen a folder: compose all stages, from discovery to the report."""
