"""The recipe of a network of volumes (:mod:`brain_tumor.experiments.volumes`)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from brain_tumor.errors import ModelError
from brain_tumor.experiments.recipe import SMALLEST, Recipe, from_options
from brain_tumor.models.architectures import VOLUMES
from brain_tumor.training.fields import setting


@dataclass(frozen=True)
class VolumesRecipe(Recipe):
    """Which voxels lie in which region, by a network of three dimensions.

    It learns from patches of exams whose slices were brought to ``size``, and answers for whole exams, tile beside tile
    (:mod:`brain_tumor.inference.sliding`).

    Attributes:
        patch: height and width of a patch, in pixels of ``size``.
        planes: slices of a patch.
        patches: patches of an exam in an epoch.
        foreground: the share of patches that hold a voxel of a region that is drawn, as nnU-Net takes a third (Isensee 2021).
        norm: BatchNorm, or GroupNorm, with which gradients may be gathered over ``accumulate`` batches exactly.
        accumulate: batches whose gradients make a step together.
        batch_size: patches a batch.
    """

    TASK: ClassVar[str] = "volumes"
    MODELS: ClassVar[tuple[str, ...]] = VOLUMES
    LOSSES: ClassVar[tuple[str, ...]] = ("bce-dice", "focal-dice", "focal-tversky", "bce")
    NEW_LAYERS: ClassVar[str] = "decoder"
    LEARNS_MASKS: ClassVar[bool] = True
    PREPARATION: ClassVar[int | None] = 3  # until 2, a sequence that was dropped became a copy of the first, not of the reference
    LEARNS_REGIONS: ClassVar[bool] = True

    model: str = setting("resunet3d", "Which network.", choices=VOLUMES)
    loss: str = setting("bce-dice", "What is minimised.", choices=LOSSES)
    batch_size: int = setting(2, "Patches a batch.", low=1)
    patch: int = setting(96, "Height and width of a patch in pixels.", low=SMALLEST)
    planes: int = setting(16, "Slices of a patch.", low=1)
    patches: int = setting(4, "Patches of an exam in an epoch.", low=1)
    foreground: float = setting(0.5, "Share of patches that hold tumour for sure.", low=0, high=1)
    norm: str = setting("batch", "batch, or group: answers do not depend on the batch.", choices=("batch", "group"))
    accumulate: int = setting(  # type: ignore[misc]
        1, "Batches whose gradients make a step together.", low=1
    )

    def __post_init__(self) -> None:
        """As of every recipe; and patches fit into slices, and slices are as they are in the exam."""
        super().__post_init__()
        if self.patch > self.size:
            raise ModelError(f"patch {self.patch} of slices of size {self.size}: a patch is at most a slice")
        if self.channels != "sequences" or self.augmentation.copy_paste or any(stage.size for stage in self.stages):
            raise ModelError("a network of volumes takes channels 'sequences', no copy_paste, and stages of one size")

    @property
    def input_sizes(self) -> tuple[int, ...]:
        """A patch's."""
        return (self.patch,)

    def network_arguments(self, sequences: int, regions: int = 1) -> dict[str, Any]:
        """As of every recipe, for patches."""
        patches = {"size": self.patch, "depth": self.planes, "regions": regions, "norm": self.norm}
        return super().network_arguments(sequences) | patches


def Volumes(**options: Any) -> VolumesRecipe:
    """A recipe of a network of volumes; options as on the command line."""
    return from_options(VolumesRecipe, **options)
