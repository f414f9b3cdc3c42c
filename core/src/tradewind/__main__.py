"""Lets ``python -m tradewind`` be the command line."""

from __future__ import annotations

import sys

from tradewind.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
