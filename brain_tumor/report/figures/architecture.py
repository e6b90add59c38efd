"""The drawing of a network, read off the Keras model itself, so it cannot differ from what was trained."""

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from brain_tumor.report.figures.drawing import BLUE, GREY, INK, ORANGE, RED, Drawing

if TYPE_CHECKING:  # whoever has a model has loaded Keras; other figures are drawn without it
    import keras

BOX_HEIGHT, HALF_WIDTH = 0.62, 1.12
INNERMOST, OUTERMOST = 1.95, 4.35  # how far from the middle the boxes of the lowest pair and of the first one stand


@dataclass
class _Level:
    """What one side of the network holds at one resolution."""

    filters: int = 0
    convolutions: int = 0
    weights: int = 0
    skip: int = 0


def plot_architecture(model: "keras.Model") -> Drawing:
    """Boxes by resolution with size, filters and weights; the way down at the left; at the right the way up with skips across, or
    a classifier's linear layers.

    Args:
        model: a network of :mod:`brain_tumor.models.unet` or :mod:`brain_tumor.models.classifier`.
    """
    from keras import layers

    from brain_tumor.models.architectures import SLICE_HEAD

    down, up = _levels(model)
    linear = [layer for layer in model.layers if isinstance(layer, layers.Dense) and SLICE_HEAD not in layer.name]
    if linear and not up:
        return _plot_classifier(model, down, linear)
    sizes = sorted({*down, *up}, reverse=True)
    drawing, axes = _canvas(model, sizes)
    step = (OUTERMOST - INNERMOST) / max(len(sizes) - 2, 1)
    places = {size: (OUTERMOST - step * depth, -depth) for depth, size in enumerate(sizes[:-1])} | {
        sizes[-1]: (0, 1 - len(sizes))
    }
    for size, (x, y) in places.items():
        bottom = size == sizes[-1]
        if bottom:
            _level_box(axes, 0, y, size, down[size], ORANGE)
            continue
        _level_box(axes, -x, y, size, down[size], BLUE)
        _level_box(axes, x, y, size, up[size], RED)
        if up[size].skip:
            _arrow(axes, (-x + HALF_WIDTH, y), (x - HALF_WIDTH, y), GREY, "--")
            axes.text(0, y + 0.06, f"skip, {up[size].skip}", ha="center", va="bottom", fontsize=8, color=GREY)
    for size, smaller in itertools.pairwise(sizes):
        (x, y), (below_x, below_y) = places[size], places[smaller]
        _arrow(axes, (-x, y - BOX_HEIGHT / 2), (-below_x - 0.6 * (not below_x), below_y + BOX_HEIGHT / 2), INK)
        _arrow(axes, (below_x + 0.6 * (not below_x), below_y + BOX_HEIGHT / 2), (x, y - BOX_HEIGHT / 2), INK)
    side = places[sizes[0]][0] or HALF_WIDTH  # of one level only: beside its box
    axes.text(-side, 0.45, f"image, {model.input_shape[-1]} channels", ha="center", fontsize=9, color=INK)
    axes.text(side, 0.45, "tumour probability", ha="center", fontsize=9, color=INK)
    return drawing


def _plot_classifier(model: "keras.Model", down: dict[int, _Level], linear: list["keras.layers.Dense"]) -> Drawing:
    from keras import layers

    sizes = sorted(down, reverse=True)
    averaged = any(isinstance(layer, layers.GlobalAveragePooling2D) for layer in model.layers)
    drawing, axes = _canvas(model, sizes, f", then {len(linear)} linear layers")
    encoder = [(-INNERMOST, -row) for row in range(len(sizes))]
    head = [(INNERMOST, row + 1 - len(sizes)) for row in range(len(linear))]
    for (x, y), size in zip(encoder, sizes, strict=True):
        _level_box(axes, x, y, size, down[size], BLUE)
    for (x, y), layer in zip(head, linear, strict=True):
        _box(axes, x, y, f"linear, {layer.units}", f"{layer.count_params():,} weights", RED)
    for (x, y), (_, below) in itertools.pairwise(encoder):
        _arrow(axes, (x, y - BOX_HEIGHT / 2), (x, below + BOX_HEIGHT / 2), INK)
    for (x, y), (_, above) in itertools.pairwise(head):
        _arrow(axes, (x, y + BOX_HEIGHT / 2), (x, above - BOX_HEIGHT / 2), INK)
    (left, y), (right, _) = encoder[-1], head[0]
    _arrow(axes, (left + HALF_WIDTH, y), (right - HALF_WIDTH, y), INK)
    axes.text(0, y + 0.06, "averaged" if averaged else "flattened", ha="center", va="bottom", fontsize=8, color=GREY)
    axes.text(-INNERMOST, 0.45, f"image, {model.input_shape[-1]} channels", ha="center", fontsize=9, color=INK)
    answer = "tumour probability" if linear[-1].units == 1 else f"{linear[-1].units} class probabilities"
    axes.text(INNERMOST, head[-1][1] + 0.45, answer, ha="center", fontsize=9, color=INK)
    return drawing


def _canvas(model: "keras.Model", sizes: list[int], then: str = "") -> tuple[Drawing, Axes]:
    """An empty drawing with a row a resolution."""
    several = f"{len(sizes)} resolutions from {sizes[0]} to {sizes[-1]} pixels"
    text = several if len(sizes) > 1 else f"one resolution, {sizes[0]} pixels"
    drawing = Drawing(0.85 * len(sizes) + 0.7, f"{model.name}: {text}{then}, {model.count_params():,} weights.")
    axes = drawing.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(-5.6, 5.6)
    axes.set_ylim(-len(sizes) + 0.35, 0.75)
    return drawing, axes


def _levels(model: "keras.Model") -> tuple[dict[int, _Level], dict[int, _Level]]:
    """Both sides of the network by resolution; the decoder begins at the first layer that enlarges."""
    from keras import layers

    from brain_tumor.models.architectures import HEAD, SLICE_HEAD

    down: dict[int, _Level] = defaultdict(_Level)
    up: dict[int, _Level] = defaultdict(_Level)
    side = down
    for layer in model.layers:
        shape = tuple(layer.output.shape) if not isinstance(layer.output, list) else ()
        if len(shape) != 4 or isinstance(layer, layers.ZeroPadding2D) or SLICE_HEAD in layer.name:
            continue
        if isinstance(layer, layers.UpSampling2D | layers.Conv2DTranspose):
            side = up
        level = side[shape[1]]
        level.weights += layer.count_params()
        if layer.name == HEAD:
            continue
        if isinstance(layer, layers.Conv2D):
            level.convolutions += 1
            level.filters = shape[-1]
        if isinstance(layer, layers.Concatenate) and side is up:
            level.skip = int(layer.input[1].shape[-1])
    return down, up


def _level_box(axes: Axes, x: float, y: float, size: int, level: _Level, colour: str) -> None:
    if level.convolutions:
        detail = f"{level.convolutions} conv., {level.weights:,} weights"
        _box(axes, x, y, f"{size} × {size}, {level.filters} filters", detail, colour)
    else:
        _box(axes, x, y, f"{size} × {size}", "", colour)


def _box(axes: Axes, x: float, y: float, title: str, detail: str, colour: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x - HALF_WIDTH, y - BOX_HEIGHT / 2), 2 * HALF_WIDTH, BOX_HEIGHT, boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=colour, alpha=0.16, edgecolor="none",
        )
    )  # fmt: skip
    axes.text(x, y + 0.12 * bool(detail), title, ha="center", va="center", fontsize=9, color=INK)
    axes.text(x, y - 0.14, detail, ha="center", va="center", fontsize=7, color=GREY)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, style: str = "-") -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=1, linestyle=style))
