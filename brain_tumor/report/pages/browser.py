"""A volume in a notebook and in a report: all its slices side by side to scroll through, regions over them, without any script.

Reports hold no script, so the slices lie in a strip that the browser itself scrolls and snaps (wheel, touch, arrow keys), and
boxes to tick show and hide what lies over them. One picture holds all slices, one each what lies over them.
"""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from PIL import Image

from brain_tumor.data import labels
from brain_tumor.report.figures.drawing import PIXELS_MIME
from brain_tumor.report.figures.regions import COLOURS, coloured
from brain_tumor.report.pages.viewer import sheet

ALPHA = 120  # of 255
SCALE = 320  # pixels a slice is shown at, a side
JPEG_QUALITY = 80


@dataclass(frozen=True)
class Browser:
    """Slices with the regions that a network calls, and the expert's.

    Attributes:
        images: ``(n, H, W)`` uint8, one sequence.
        layers: name -> ``(n, H, W)`` uint8, in how many nested regions each pixel lies.
        numbers: of the slices.
        regions: the names of the regions.
        phantom: the exam is a phantom's.
    """

    images: np.ndarray
    layers: dict[str, np.ndarray]
    numbers: Sequence[int]
    regions: Sequence[str]
    phantom: bool

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict:
        names = ", ".join(self.layers)
        return {
            "text/html": self.html(),
            "text/plain": f"{len(self.images)} slices with regions: {names}",
            PIXELS_MIME: {"pixels": "phantom" if self.phantom else "patients"},
        }

    def html(self) -> str:
        """The browser by itself, to stand in a page."""
        height, width = self.images.shape[1:]
        columns = math.ceil(math.sqrt(len(self.images)))
        sheets = {"slices": _uri(sheet(self.images, columns), "JPEG")}
        sheets |= {
            name: _uri(_to_bytes(coloured(sheet(depths, columns), ALPHA / 255)), "PNG") for name, depths in self.layers.items()
        }
        key = "v" + sha256("".join(sheets.values()).encode()).hexdigest()[:8]
        factor = SCALE / max(height, width)
        size = f"{round(width * factor)}px;height:{round(height * factor)}px"
        whole = f"{round(columns * width * factor)}px {round(math.ceil(len(self.images) / columns) * height * factor)}px"
        rules = [
            f".{key} .strip{{display:flex;gap:4px;overflow-x:auto;scroll-snap-type:x proximity;max-width:100%}}",
            f".{key} figure{{margin:0;flex:none;scroll-snap-align:start;font-size:.8rem}}",
            f".{key} .at{{position:relative;width:{size};background:#000}}",
            f".{key} .at i{{position:absolute;inset:0;background-size:{whole}}}",
            f".{key} .box{{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 .8em}}",
        ]
        boxes = []
        for number, (name, uri) in enumerate(sheets.items()):
            rules.append(f".{key} .l{number}{{background-image:url({uri})}}")
            if number:
                rules.append(f".{key} #{key}{number}:not(:checked)~.strip .l{number}{{display:none}}")
                box = f'<input type="checkbox" id="{key}{number}"{" checked" * (number == 1)}>'
                boxes.append(f'{box}<label for="{key}{number}">{name}</label> ')
        figures = [
            self._figure(place, columns, (height * factor, width * factor), len(sheets)) for place in range(len(self.images))
        ]
        legend = "".join(
            f'<span class="box" style="background:{colour}"></span>{name}, {labels.TITLES.get(name, name)}'
            for name, colour in zip(self.regions, COLOURS, strict=False)
        )
        words = f"{'Phantom, not a patient. ' * self.phantom}{len(self.images)} slices; scroll to step through them"
        return (
            f'<div class="{key}"><style>{"".join(rules)}</style>{"".join(boxes)}<span>{legend}</span>'
            f'<div class="strip" tabindex="0" role="group" aria-label="{words}">{"".join(figures)}</div></div>'
        )

    def _figure(self, place: int, columns: int, tile: tuple[float, float], sheets: int) -> str:
        left, top = -(place % columns) * tile[1], -(place // columns) * tile[0]
        layers = "".join(
            f'<i class="l{number}" style="background-position:{left:.2f}px {top:.2f}px"></i>' for number in range(sheets)
        )
        words = f"slice {self.numbers[place]}"
        return f'<figure><div class="at" role="img" aria-label="{words}">{layers}</div>{words}</figure>'


def _to_bytes(colours: np.ndarray) -> np.ndarray:
    """Shares of 1 as uint8."""
    return np.rint(255 * colours).astype(np.uint8)


def _uri(pixels: np.ndarray, kind: str) -> str:
    stream, more = io.BytesIO(), {"quality": JPEG_QUALITY} if kind == "JPEG" else {"optimize": True}
    Image.fromarray(pixels).save(stream, kind, **more)  # type: ignore[arg-type]
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
