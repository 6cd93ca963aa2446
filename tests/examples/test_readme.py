"""Every block of Python in the README and in the tutorials runs, page by page and in order."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")

ROOT = Path(__file__).parents[2]
#: pages whose blocks form one program each
PAGES = [
    "README.md",
    "docs/getting-started.md",
    *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs/how-to").glob("*")),
]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


#: pages that take longest, and whose subjects have quick tests of their own
LONG = (
    "docs/getting-started.md",
    "docs/how-to/batches.md",
    "docs/how-to/gradients.md",
    "docs/how-to/sweeps.md",
    "docs/how-to/transport.md",
)


@pytest.mark.parametrize("page", [pytest.param(p, marks=pytest.mark.slow) if p in LONG else p for p in PAGES])
def test_blocks_of_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        line = text.count("\n", 0, block.start(1))
        source = "\n" * line + block[1]  # line numbers as in the page
        exec(compile(source, str(ROOT / page), "exec", dont_inherit=True), names)
    assert blocks or page != "docs/getting-started.md"
