"""Run the command line: parse arguments, run a command, and turn errors into one line and an exit code."""

from cxrbatch.cli.app import cli, main

__all__ = ["cli", "main"]
