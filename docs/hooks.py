"""mkdocs hook: docstrings use Sphinx roles (``:meth:`at```); show what they name as plain code."""

import re
from typing import Any

_ROLE = re.compile(r":(?:meth|class|func|mod|data|attr):\s*<code>(~(?:\w+\.)*)?([^<]+)</code>")


def on_page_content(html: str, **_: Any) -> str:
    """Called by mkdocs with the HTML of each page."""
    return _ROLE.sub(r"<code>\2</code>", html)
