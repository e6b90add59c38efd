"""Where a prediction lies in each slice: its most probable pixel, its box and its centre, beside those of the truth.

They are kept while pixels are at hand, so that "does the network point at the tumour?" (the pointing game; Zhang 2018,
arXiv 1608.00507) and "does its box overlap the tumour's?" need neither weights nor pixels later.
"""

import numpy as np
import pandas as pd

from brain_tumor.errors import DataError

BOX = ("top", "left", "bottom", "right")  # rows top to bottom - 1 and columns left to right - 1, as a NumPy slice has them
CENTRE = ("centre_row", "centre_column")
POINT = ("highest", "row", "column", "inside")
SIDES = ("predicted", "truth")
COLUMNS = (*POINT, *(f"{side}_{name}" for side in SIDES for name in ("px", *BOX, *CENTRE)))


def locate(probability: np.ndarray, truth: np.ndarray, threshold: float = 0.5) -> pd.DataFrame:
    """A row a plane, indexed by ``plane``.

    Args:
        probability: ``(Z, H, W)`` uint8, 255 = 1.
        truth: ``(Z, H, W)`` in {0, 1}.
        threshold: a pixel is called tumour where its probability is above this.

    Returns:
        ``highest`` is the highest probability, 0 to 1, and ``row, column`` is its pixel. Of several such pixels it is the one
        farthest from all others of the plane, so that it lies in the middle of a plateau and not at its edge. ``inside`` says
        whether the truth holds that pixel. ``predicted_px``, ``predicted_top, ..._left, ..._bottom, ..._right`` and
        ``predicted_centre_row, ..._centre_column`` are the number, the box and the mean position of the pixels called tumour,
        and ``truth_px, ...`` those of the truth. What does not exist is NA: the pixel of a plane that is 0 everywhere, the box
        of no pixel.

    Raises:
        DataError: the arrays differ in shape.
    """
    if probability.shape != truth.shape:
        raise DataError(f"prediction {probability.shape} and truth {truth.shape} differ in shape")
    rows = [
        _point(plane, mask) | extent("predicted", plane > threshold * 255) | extent("truth", mask > 0)
        for plane, mask in zip(probability, truth, strict=True)
    ]
    table = pd.DataFrame(rows, index=pd.RangeIndex(len(rows), name="plane"), columns=list(COLUMNS))
    whole = ("row", "column", *(f"{side}_{name}" for side in SIDES for name in ("px", *BOX)))
    return table.astype(dict.fromkeys(whole, "Int64") | {"inside": "boolean"})


def _point(plane: np.ndarray, mask: np.ndarray) -> dict:
    highest = plane.max()
    if not highest:
        return {"highest": 0.0, "inside": pd.NA}
    row, column = middle_of(plane == highest)
    return {"highest": round(float(highest) / 255, 4), "row": row, "column": column, "inside": bool(mask[row, column])}


def middle_of(plateau: np.ndarray) -> tuple[int, int]:
    """Row and column of the pixel of ``plateau (H, W)`` bool that lies farthest from all others."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(plateau, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), plateau.shape)
    return int(row), int(column)


def extent(side: str, mask: np.ndarray) -> dict:
    """``side_px``, and of a mask ``(H, W)`` that is not empty its box and centre, under the names of :data:`COLUMNS`."""
    rows, columns = np.nonzero(mask)
    values: dict = {"px": len(rows)}
    if len(rows):
        corners = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        values |= dict(zip(BOX, map(int, corners), strict=True))
        values |= dict(zip(CENTRE, (rows.mean().round(1), columns.mean().round(1)), strict=True))
    return {f"{side}_{name}": value for name, value in values.items()}
