"""Parse the command line, and turn errors into one line and an exit code."""

from cxrbatch.cli.app import cli, main

__all__ = ["cli", "main"]
