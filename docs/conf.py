"""How Sphinx builds the documentation: `./dev nox -s docs`."""

import importlib.metadata

from pygments.lexers.special import TextLexer
from sphinx.highlighting import lexers

project = "Tradewind"
author = "The Tradewind developers"
copyright = "The Tradewind developers, Apache License 2.0"
release = importlib.metadata.version("tradewind")

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = True
html_theme = "alabaster"
html_title = "Tradewind"

# Where mermaid is not drawn, its text says the same.
lexers["mermaid"] = TextLexer()
