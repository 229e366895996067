"""The night: what is remembered, who waits, and what PCR results say of the list. Rules: ``docs/nightly.md``."""
