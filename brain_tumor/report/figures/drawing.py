"""A figure that shows itself in a notebook, and the look all figures share: colour-blind safe, quiet axes, no pyplot.

A drawing says in words what it shows (its alternative text) and whether it holds pixels of an exam, so that no report is
published with a patient in it by mistake.
"""

import base64
import io
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

# Okabe & Ito 2008 (jfly.uni-koeln.de/color): told apart by any eye.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
INK, GREY, PALE = "#1f2933", "#6b7280", "#d5d9de"
SERIES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
TRUTH, PREDICTED = SKY, "#FFC20A"

WIDTH_INCHES = 8.0
DPI = 140  # more than the 100 it is shown at, for phones and dense screens
PICTURE_DPI = 120
JPEG_QUALITY = 86
SHOWN_DPI = 100
PIXELS_MIME = "application/vnd.brain-tumor.pixels+json"


class Drawing(Figure):
    """A Matplotlib figure that a notebook displays as an image with alternative text.

    Args:
        height: in inches; the width is that of the page.
        alt: what it shows, in a sentence, for those who cannot see it.
        pixels: ``patients`` or ``phantom`` where it holds pixels of exams; empty for plots of numbers.
    """

    def __init__(self, height: float, alt: str, pixels: str = "", width: float = WIDTH_INCHES):
        super().__init__(figsize=(width, height), layout="constrained", facecolor="white")
        self.alt, self.pixels = alt, pixels

    @property
    def mime(self) -> str:
        """PNG for plots, which have few colours; JPEG for pictures, a fifth of the size."""
        return "image/jpeg" if self.pixels else "image/png"

    def encoded(self) -> bytes:
        """The image file; the same drawing always gives the same bytes."""
        drawn, packed = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=PICTURE_DPI if self.pixels else DPI, metadata={"Software": None})
        image = Image.open(drawn).convert("RGB")
        if self.pixels:
            image.save(packed, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
        else:
            image.quantize(256, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
        return packed.getvalue()

    def data_uri(self) -> str:
        """The image as ``data:image/...;base64,...``, to embed in a page."""
        return f"data:{self.mime};base64,{base64.b64encode(self.encoded()).decode()}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        shown_width = round(self.get_figwidth() * SHOWN_DPI)
        data: dict[str, Any] = {self.mime: base64.b64encode(self.encoded()).decode(), "text/plain": self.alt}
        if self.pixels:
            data[PIXELS_MIME] = {"pixels": self.pixels}
        return data, {self.mime: {"alt": self.alt, "width": shown_width}}


def tidy(axes: Axes, x: str = "", y: str = "", title: str = "", grid: Literal["", "both", "x", "y"] = "y") -> Axes:
    """Label the axes and quieten everything that is not data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(colors=GREY, labelsize=9, length=0)
    if grid:
        axes.grid(axis=grid, color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(x, color=INK, fontsize=10)
    axes.set_ylabel(y, color=INK, fontsize=10)
    axes.set_title(title, color=INK, fontsize=10.5, loc="left")
    return axes


def logarithmic(axis: Axis) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5 of each decade."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
    axis.set_minor_formatter(NullFormatter())


def patient_label(case_id: str) -> str:
    """``TCGA_HT_7694_19950404`` as ``HT 7694``."""
    parts = case_id.split("_")
    return f"{parts[1]} {parts[2]}" if len(parts) >= 3 else case_id
