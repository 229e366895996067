"""Remember images, lists and PCR results from run to run, in one SQLite file."""
