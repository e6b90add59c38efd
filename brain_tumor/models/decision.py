"""From a network's logits to probabilities, outside the graph. Every network of ours ends in logits."""

import numpy as np
from scipy import special


def probabilities(logits: np.typing.ArrayLike) -> np.ndarray:
    """The sigmoid of a single output, and of each channel of planes; the softmax of several classes.

    Args:
        logits: ``(..., 1)``, the logit of tumour; ``(B, ..., C)`` of planes or volumes, a logit a channel; or ``(B, K)``, a logit
            a class.

    Returns:
        The same shape, float32 in [0, 1]; those of several classes sum to 1.
    """
    logits = np.asarray(logits, np.float32)
    return special.expit(logits) if logits.shape[-1] == 1 or logits.ndim > 2 else special.softmax(logits, axis=-1)
