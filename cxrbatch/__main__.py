"""``python -m cxrbatch``."""

from cxrbatch.cli import main

main()
