"""Explanations: maps of the pixels that an answer rests on.

A map is a claim, and it may be wrong: :mod:`brain_tumor.evaluation.explanations` scores maps on experts' masks, beside maps that
know nothing of the network. Of a classifier the logit of tumour is explained; of a network for masks, the mean logit of the
pixels that it calls tumour (Vinogradova 2020, arXiv 2002.11434), or of its most probable pixel where it calls none.
"""

from dataclasses import dataclass

import cv2
import keras
import numpy as np

from brain_tumor.data import intensity
from brain_tumor.errors import ModelError
from brain_tumor.inference.intake import Exam
from brain_tumor.inference.predict import batches
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import decision, levels, settings

METHODS = ("grad-cam", "grad-cam++", "occlusion")
PATCHES, OVERLAP = 8, 2  # patches along a side that hide it without overlap, and how many cover each pixel along it


@dataclass(frozen=True)
class Explanation:
    """Where the network looked on an exam's slices.

    Attributes:
        case_id: whose.
        slice_numbers: ``(n,)`` int.
        maps: ``(n, H, W)`` float32 at the exam's own size: 1 where a slice's answer rests most, 0 where nothing speaks for
            tumour.
        method: a name of :data:`METHODS`.
        level: the network's level that it was made from; ``""`` of occlusion.
    """

    case_id: str
    slice_numbers: np.ndarray
    maps: np.ndarray
    method: str
    level: str = ""


def explain(predictor: Predictor, exam: Exam, method: str = "grad-cam", level: str = "") -> Explanation:
    """Explain the slices that are asked for.

    Args:
        method: ``grad-cam`` (Selvaraju 2017, arXiv 1610.02391), ``grad-cam++`` (Chattopadhay 2018, arXiv 1710.11063), both from
            the features of a level and what they do to the answer; or ``occlusion`` (Zeiler & Fergus 2014, arXiv 1311.2901), the
            loss of the answer where a patch is hidden, some three hundred predictions a slice.
        level: of :func:`brain_tumor.models.levels.levels`; by default :func:`usual_level`.

    Raises:
        DataError: another number of channels than the network's.
        ModelError: the network has no such level, or takes volumes.
        ValueError: an unknown method.
    """
    if predictor.of_volumes:
        raise ModelError("maps are made of networks of slices, and this one takes volumes")
    if method not in METHODS:
        raise ValueError(f"method {method!r}, expected one of {', '.join(METHODS)}")
    images, scaling = predictor.inputs(exam)
    level = "" if method == "occlusion" else level or usual_level(predictor)
    networks = (predictor, *predictor.others)
    of_networks = [
        _occluded(one, images, scaling)
        if method == "occlusion"
        else _activated(one, images, scaling, level, method == METHODS[1])
        for one in networks
    ]
    working = np.mean([_to_one(maps) for maps in of_networks], axis=0)
    shape = exam.images.shape[1:3]
    maps = intensity.crop_back(intensity.resize_probabilities(working, max(shape)), shape)
    return Explanation(exam.name, exam.asked, np.clip(maps, 0, 1), method, level)


def usual_level(predictor: Predictor) -> str:
    """The level that maps are made from: of a classifier the deepest; of a U-Net the last but one on the way up, where features
    are fine and still know more than a pixel's surroundings (notebook 11 compares the levels).
    """
    up = [level for level in levels.levels(predictor.model) if level.startswith("D")]
    return up[-2] if predictor.outlines and len(up) > 1 else levels.deepest(predictor.model)


def _activated(predictor: Predictor, images: np.ndarray, scaling: np.ndarray, level: str, squared: bool) -> np.ndarray:
    """``(n, S, S)`` float32 from the features of a level, each weighted by what it does to the answer; negative ones left out."""
    sensitivity, maps = predictor.sensitivity(level), []
    for batch, count in batches(images, scaling):
        features, gradients = sensitivity(batch, counted(predictor, batch))
        weights = _positive_weights(features, gradients) if squared else gradients.mean(axis=(1, 2), keepdims=True)
        maps.append(np.maximum((weights * features).sum(axis=-1), 0)[:count])
    size = images.shape[1]
    small = np.concatenate(maps)
    return np.stack([cv2.resize(plane, (size, size), interpolation=cv2.INTER_LINEAR) for plane in small])


def _positive_weights(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Grad-CAM++'s weight of each feature ``(B, 1, 1, F)``: places that count for the answer alone, however many there are."""
    squared = gradients**2
    whole = 2 * squared + features.sum(axis=(1, 2), keepdims=True) * gradients**3
    shares = np.divide(squared, whole, out=np.zeros_like(whole), where=whole != 0)
    return (shares * np.maximum(gradients, 0)).sum(axis=(1, 2), keepdims=True)


def _occluded(predictor: Predictor, images: np.ndarray, scaling: np.ndarray) -> np.ndarray:
    """``(n, S, S)`` float32: by how much the answer falls where a patch takes the slice's mean level; gains left out."""
    size = images.shape[1]
    side = size // PATCHES
    places = range(0, size - side + 1, side // OVERLAP)
    maps = np.zeros((len(images), size, size), np.float32)
    for number, image in enumerate(images):
        hidden = np.repeat(image[None], len(places) ** 2, axis=0)
        for patch, (top, left) in enumerate((top, left) for top in places for left in places):
            hidden[patch, top : top + side, left : left + side] = image.mean(axis=(0, 1))
        whole = next(batch for batch, _ in batches(image[None], scaling))
        weights = counted(predictor, whole)[:1]
        answer = _answers(predictor, image[None], scaling, weights)
        losses = answer - _answers(predictor, hidden, scaling, weights)
        cover = np.zeros((size, size), np.float32)
        for patch, (top, left) in enumerate((top, left) for top in places for left in places):
            maps[number, top : top + side, left : left + side] += losses[patch]
            cover[top : top + side, left : left + side] += 1
        maps[number] /= np.maximum(cover, 1)
    return np.maximum(maps, 0)


@settings.fixed()
def _answers(predictor: Predictor, images: np.ndarray, scaling: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``(n,)``: the counted logits of each slice."""
    answers = [(predictor.network(batch) * weights)[:count] for batch, count in batches(images, scaling)]
    return np.concatenate(answers).reshape(len(images), -1).sum(axis=1)


@settings.fixed()
def counted(predictor: Predictor, batch: np.ndarray) -> np.ndarray:
    """What each logit of a batch counts in its slice's answer, in the shape of the logits; the sum over a slice is 1."""
    logits = np.asarray(predictor.network(batch), np.float32)
    if logits.ndim == 2:
        return np.ones_like(logits)
    probabilities = decision.probabilities(logits[..., :1])
    highest = probabilities.max(axis=(1, 2, 3), keepdims=True)
    region = np.where(highest > predictor.threshold, probabilities > predictor.threshold, probabilities == highest)
    share = (region / region.sum(axis=(1, 2, 3), keepdims=True)).astype(np.float32)
    return np.concatenate([share, np.zeros((*share.shape[:-1], logits.shape[-1] - 1), np.float32)], axis=-1)


def _to_one(maps: np.ndarray) -> np.ndarray:
    """Each map divided by its highest value; a map of zeros stays."""
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)


def randomised(network: keras.Model, untrained: keras.Model, share: float) -> keras.Model:
    """A copy of a network whose last layers know nothing: a map that stays the same does not explain what was learnt.

    The check is that of Adebayo 2018 (arXiv 1810.03292): layers lose what they learnt from the output downwards.

    Args:
        untrained: the same network with random weights; it is changed.
        share: of the layers with weights, from 0 to 1.
    """
    pairs = [pair for pair in zip(network.layers, untrained.layers, strict=True) if pair[0].weights]
    for trained, layer in pairs[: round(len(pairs) * (1 - share))]:
        layer.set_weights(trained.get_weights())
    return untrained


def controls(images: np.ndarray, reference: int) -> dict[str, np.ndarray]:
    """Maps that know nothing of a network, for comparison.

    Args:
        images: ``(n, H, W, C)`` uint8.
        reference: the channel in which tumours show best.

    Returns:
        ``brightness``, the reference channel itself, and ``centre``, a bell over the middle of the head: ``(n, H, W)`` float32.
    """
    plane = images[..., reference].astype(np.float32)
    return {"brightness": plane / 255, "centre": np.stack([_bell(image) for image in plane])}


def _bell(plane: np.ndarray) -> np.ndarray:
    """A bell over the middle of what is brighter than the mean, a quarter of that as wide; flat where nothing is."""
    head = plane > plane.mean()
    if not head.any():
        return np.ones_like(plane)
    rows, columns = np.nonzero(head)
    row, column = np.ogrid[: plane.shape[0], : plane.shape[1]]
    spread = max(int(np.ptp(rows)), int(np.ptp(columns)), 1) / 4
    distance = (row - rows.mean()) ** 2 + (column - columns.mean()) ** 2
    return np.exp(-distance / (2 * spread**2)).astype(np.float32)
