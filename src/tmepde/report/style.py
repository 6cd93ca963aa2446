"""Colours, type and sizes shared by all figures; figures become text that fits into a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np

#: Okabe & Ito (2008), told apart with any colour vision; the first is for the untreated arm
ARMS = ("#4d4d4d", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8c6d1f", "#7a5195", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
#: tissue classes: outside, stroma, tumour nest
TISSUE = {"lumen or outside": "#ffffff", "stroma": "#c9dbe9", "tumour nest": "#b0703c"}
#: perceptually even, and readable in grey
MAPS = {
    "oxygen": "magma",
    "tumour": "cividis",
    "tumour_negative": "cividis",
    "car_t": "viridis",
    "car_t_exhausted": "viridis",
}
OTHER_MAP = "viridis"
OUTSIDE = "#eceff2"
INK, FAINT = "#1d2733", "#8794a1"

RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "normal",
    "axes.labelsize": 8.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "tmepde",
    "figure.constrained_layout.use": True,
}


@contextmanager
def figures() -> Iterator[None]:
    """Drawing without a display, in the report's style; the caller's own matplotlib settings come back after."""
    with matplotlib.rc_context(RC):
        yield


def new(width: float, height: float) -> Any:
    """A figure that belongs to no window; inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def arm_style(index: int) -> dict[str, Any]:
    """Colour and dash of the arm of this index."""
    return {"color": ARMS[index % len(ARMS)], "linestyle": DASHES[(index // len(ARMS)) % len(DASHES)]}


def short(value: float, _: Any = None) -> str:
    """A tick label: plain where that is short, else with a raised power; cheaper than typeset mathematics."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.10g}".replace("-", "−")
    mantissa, exponent = f"{value:.3e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    digits = mantissa.rstrip("0").rstrip(".")
    return (f"10{raised}" if digits == "1" else f"{digits}·10{raised}").replace("-", "−")


def plain_ticks(axis: Any) -> None:
    """Label an axis with :func:`short`; on a logarithmic axis only whole powers."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(short))
    axis.set_minor_formatter(NullFormatter())


def _save_small(figure: Any, buffer: io.BytesIO, scale: Any) -> None:
    """A PNG with a palette: 216 steps of one colour scale and 40 tones of ink; half the size of full colour."""
    from matplotlib.colors import to_rgb
    from PIL import Image

    ink, outside = np.array(to_rgb(INK)), np.array(to_rgb(OUTSIDE))
    tones = ink + (1.0 - ink) * np.linspace(0, 1, 39)[:, None]
    colors = np.concatenate([scale(np.linspace(0, 1, 216))[:, :3], tones, outside[None]])
    colors = np.rint(255 * colors).astype(np.int64)
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=125)
    pixels = np.asarray(Image.open(raw).convert("RGB"), dtype=np.int64)
    packed, where = np.unique(pixels @ np.array([65536, 256, 1]), return_inverse=True)
    found = np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=-1)
    # |a − b|² without |a|², which is the same for all b; Pillow's own lookup turns white into grey
    nearest = np.argmin(np.sum(colors**2, axis=-1) - 2 * found @ colors.T, axis=-1)
    picture = Image.fromarray(nearest[where].reshape(pixels.shape[:2]).astype(np.uint8))
    picture.putpalette(colors.astype(np.uint8).ravel().tolist())
    picture.save(buffer, "png", optimize=True)


def embed(figure: Any, alt: str, pixels: bool = False, scale: Any = None) -> str:
    """The figure as an ``<img>`` that carries its own data: SVG, or PNG for maps (``pixels``).

    ``scale`` is the colour map of a figure that has no other colours, which is then stored with a palette.
    """
    from html import escape

    buffer = io.BytesIO()
    if not pixels:
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    elif scale is None:
        figure.savefig(buffer, format="png", dpi=125)
    else:
        _save_small(figure, buffer, scale)
    kind = "image/png" if pixels else "image/svg+xml"
    data = base64.b64encode(buffer.getvalue()).decode()
    width = round(figure.get_size_inches()[0] * 96)
    return f'<img alt="{escape(alt, quote=True)}" style="width:{width}px" src="data:{kind};base64,{data}">'
