"""Run the command line as ``python -m cxrbatch``."""

from cxrbatch.cli import main

if __name__ == "__main__":
    main()
