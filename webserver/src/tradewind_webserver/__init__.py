"""Reserve the import name of Tradewind's web server.

This release holds no server yet: the web interface and the REST API come with a later one. Until then the
command line does everything: `tradewind --help`.
"""

from typing import Final

__version__: Final = "0.1.0"

__all__ = ["__version__"]
