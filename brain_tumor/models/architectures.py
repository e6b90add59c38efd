"""The names of networks and number formats, the sizes that networks take, their groups of layers. No Keras is loaded here."""

from brain_tumor.errors import ModelError

BACKBONES = ("resnet18", "resnet34", "resnet50")
SEGMENTATION = (*(f"unet-{backbone}" for backbone in BACKBONES), "resunet")
CLASSIFICATION = (*BACKBONES, "plain")
VOLUMES = ("resunet3d", *(f"unet3d-{backbone}" for backbone in BACKBONES))
PRECISIONS = ("float32", "mixed_bfloat16")
RESNET_STRIDE = 32  # a ResNet halves its input five times
PLAIN_STRIDE = 4  # the plain network halves it twice
RESUNET_FILTERS = (16, 32, 64, 128, 256)
HEAD, SLICE_HEAD = "final_conv", "slice_head"  # layers of a segmentation network: the logits, and that of the whole slice
# What a stage can train (:func:`brain_tumor.models.freezing.train_only`); stageN means from there up to the output.
LAYER_GROUPS = ("all", "decoder", "head", "stage1", "stage2", "stage3", "stage4")


def stride(architecture: str, filters: tuple[int, ...] = RESUNET_FILTERS) -> int:
    """The number that the input's height and width must be a multiple of.

    Args:
        architecture: a name of :data:`SEGMENTATION`, :data:`CLASSIFICATION` or :data:`VOLUMES`; of the last, height and width.
        filters: of a ResUNet: the width of each level.

    Raises:
        ModelError: ``filters`` are no widths.
    """
    if not isinstance(filters, tuple | list) or not all(isinstance(width, int) and width > 0 for width in filters) or not filters:
        raise ModelError(f"filters {filters!r}, expected the width of each level, such as {RESUNET_FILTERS}")
    return {"resunet": 2 ** (len(filters) - 1), "resunet3d": 2 ** (len(filters) - 1), "plain": PLAIN_STRIDE}.get(
        architecture, RESNET_STRIDE
    )


def check_size(size: int, stride: int) -> None:
    """Refuse a size that a network cannot take.

    Raises:
        ModelError: ``size`` is not a multiple of ``stride``.
    """
    if size < stride or size % stride:
        raise ModelError(f"size {size} is not a multiple of {stride}, which this network needs")
