"""In-house pretraining: an encoder learns to tell the classes of a public picture set before it sees a patient.

Such a set (:mod:`brain_tumor.data.readers.folders`) names no patients. :mod:`brain_tumor.data.deduplicate` takes two kinds of
pictures out first: copies, so that the held-out figure is not of pictures that were learnt; and slices of the cohort, so that
nothing that is scored later was seen. The train part is learnt; the test part is scored once, at the end. Even so that figure
is an upper bound, of pictures: slices of one patient may lie on both sides.

The network is a classifier of ours of K classes, trained end to end from random weights with 1cycle AdamW. A picture is one grey
plane: it is shown as three equal channels, each then bent by a gamma of its own, so that the channels differ a little, as
sequences do. There is no volume either: the scaling of ``volume`` is taken from the lone picture, its 10th and 99th percentile,
where a cohort's is taken from the exam.

A run lies in ``runs/pretraining/``, apart from those of recipes: it resumes as they do, and cannot be evaluated on a cohort. What
is kept of it is the encoder (:func:`brain_tumor.models.weights.save_encoder`) with a record of all this.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from brain_tumor import files
from brain_tumor.data import intensity, opening
from brain_tumor.data.cache import open_store
from brain_tumor.data.deduplicate import Deduplicated, deduplicate
from brain_tumor.data.readers.folders import KNOWN_SETS, check_name, open_pictures, read_folders
from brain_tumor.errors import DataError, ModelError, check_seed, check_word
from brain_tumor.models import decision, precision, saved, settings, weights
from brain_tumor.models.architectures import BACKBONES, RESNET_STRIDE
from brain_tumor.paths import runs_folder
from brain_tumor.progress import tracked
from brain_tumor.training import losses, stages
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.batches import SliceArrays, TrainingBatches, ValidationBatches
from brain_tumor.training.runs import RunFolder, environment, now

LOSS, CHANNELS, REFERENCE = "cce", 3, 1  # the grey plane three times; the middle one stands for a missing one
EPOCHS = 9  # over the 4,282 pictures that stay of `mri4`, ResNet18 at 128 took 24 minutes of two cores that did other things too
UPPER_BOUND = "pictures, not patients: the set names no patients, so this is an upper bound"


@dataclass(frozen=True)
class Pretraining:
    """Everything that decides a pretraining, but for the pictures.

    Attributes:
        name: what the weights are called; a name of :data:`KNOWN_SETS` promises that set.
        backbone: ``resnet18``, ``resnet34`` or ``resnet50``.
        size: height and width in pixels that the network works at, a multiple of 32.
        epochs: passes over the train part.
        normalisation: a name of :data:`brain_tumor.data.intensity.NORMALISATIONS`, which the weights then expect.
        batch_size: pictures a step.
        max_lr: top of the 1cycle learning rate.
        augmentation: how pictures are moved and changed; no sequence can be missing of a lone plane.
        batchnorm_momentum: 0.99, or 0.9 for runs of a few hundred steps.
        precision: ``auto`` (measured), ``float32`` or ``mixed_bfloat16``.
        seed: initial weights, shuffling and augmentation.

    Raises:
        ModelError: a word that names nothing, or a size that the network cannot take.
    """

    name: str
    backbone: str = "resnet18"
    size: int = 128
    epochs: int = EPOCHS
    normalisation: str = "volume"
    batch_size: int = 16
    max_lr: float = 1e-3
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(sequence_dropout=0.0))
    batchnorm_momentum: float = 0.99
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, before a picture is read for it."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", self.name):
            raise ModelError(f"name {self.name!r}: expected small letters, digits and _, such as mri4")
        if self.name in ("none", "imagenet"):
            raise ModelError(f"name {self.name!r}: --weights {self.name} means others; expected a name of its own, such as mri4")
        choices = {
            "backbone": BACKBONES,
            "normalisation": intensity.NORMALISATIONS,
            "precision": ("auto", *precision.PRECISIONS),
        }
        for name, known in choices.items():
            check_word(name, getattr(self, name), known)
        check_seed("seed", self.seed)
        if self.size < RESNET_STRIDE or self.size % RESNET_STRIDE:
            raise ModelError(f"size {self.size} is not a multiple of {RESNET_STRIDE}, which this network needs")
        if min(self.epochs, self.batch_size) < 1:
            raise ModelError(f"{self.epochs} epochs in batches of {self.batch_size}, expected 1 or more of each")

    @property
    def weights_file(self) -> Path:
        """Where the encoder's weights will lie."""
        return weights.own_file(self.name, self.backbone, self.size, self.normalisation)


def gather(recipe: Pretraining, roots: Sequence[Path], skip_bad: bool = False) -> Deduplicated:
    """Read and thin the pictures of one or several folders of classes, comparing them with the LGG data where it is here.

    Args:
        skip_bad: leave out what cannot be read; ``pictures.unreadable`` lists it.

    Raises:
        DataError: the folders are refused by their reader, are not the known set that the name promises, or leave too few
            pictures to learn from.
    """
    folders = read_folders(roots)
    check_name(recipe.name, folders)
    if not (folders.parts == "train").any():
        raise DataError(f"{folders.roots[0]}: nothing to learn from, only {' and '.join(sorted(set(folders.parts)))} pictures")
    pictures = open_pictures(folders, recipe.size, skip_bad)
    cohort = open_store(opening.open_lgg()) if opening.lgg_folder().is_dir() else None
    material = deduplicate(pictures, cohort)
    rows = material.rows("train")
    counts = np.bincount(folders.labels[rows], minlength=len(folders.classes))
    if len(rows) < recipe.batch_size or not counts.all():
        per_class = ", ".join(f"{name} {count}" for name, count in zip(folders.classes, counts, strict=True))
        raise DataError(
            f"{folders.roots[0]}: without copies the train part has {per_class}; expected some of each class, and "
            f"{recipe.batch_size} or more for a batch"
        )
    return material


@settings.fixed()
def pretrain(recipe: Pretraining, material: Deduplicated, on_start: Callable[[RunFolder], None] | None = None) -> RunFolder:
    """Train, score the held-out pictures once, and write the encoder's weights with their record.

    A finished run is taken as it is, an interrupted one resumed; weights that are gone or of another run are written anew.
    """
    run = RunFolder(runs_folder() / "pretraining" / run_id(recipe, material))
    if run.status != "finished":
        _train(recipe, material, run, on_start)
    if _weights_of(recipe.weights_file) != run.path.name:
        weights.save_encoder(saved.load(run.path), recipe.weights_file, _record(recipe, run))
    return run


def run_id(recipe: Pretraining, material: Deduplicated) -> str:
    """What a person looks for first, then a hash of the recipe and of the pictures that stay."""
    digest = files.sha256_json([asdict(recipe), material.identity])[:8]
    return f"{recipe.name}-{recipe.backbone}-{recipe.size}-{recipe.normalisation}-seed{recipe.seed}-{digest}"


def _train(recipe: Pretraining, material: Deduplicated, run: RunFolder, on_start: Callable[[RunFolder], None] | None) -> None:
    number_format = run.description["precision"] if run.exists else precision.resolve(recipe.precision)
    description = saved.describe(
        recipe.backbone, size=recipe.size, classes=len(material.folders.classes), batchnorm_momentum=recipe.batchnorm_momentum
    )
    keras.utils.set_random_seed(recipe.seed)
    model = saved.build(description, number_format)
    parts = arrays(material, recipe.normalisation)

    def epoch_batches(epoch: int) -> TrainingBatches:
        return TrainingBatches(parts["train"], recipe.batch_size, recipe.augmentation, recipe.seed, epoch)

    with run.under_way(
        started=run.description["started"] if run.exists else now(),
        recipe=asdict(recipe),
        pictures=material.to_json(),
        precision=number_format,
        parameters=model.count_params(),
        environment=environment(),
    ):
        if on_start:
            on_start(run)
        plan = (stages.Stage("all", recipe.epochs, recipe.max_lr),)
        validation = parts["validation"] if len(parts["validation"].rows) else None
        stages.train(model, plan, epoch_batches, losses.make(LOSS), run, validation, (losses.accuracy,))
        saved.save(model, description | {"precision": number_format}, run.path)
        run.update(held_out=held_out(model, parts, material.folders.classes, recipe.batch_size))
    run.drop_checkpoints()


def arrays(material: Deduplicated, normalisation: str) -> dict[str, SliceArrays]:
    """What batches of each part are cut from: the grey plane three times, each picture with a scaling of its own."""
    images = material.pictures.images
    thrice = np.broadcast_to(images[..., None], (*images.shape, CHANNELS))  # a view: copied where a batch is cut
    scalings = np.stack([intensity.scaling(picture[None], normalisation) for picture in thrice])
    return {
        part: SliceArrays(thrice, material.folders.labels, scalings, material.rows(part), reference=REFERENCE)
        for part in ("train", "validation", "test")
    }


@settings.fixed()
def held_out(model: keras.Model, parts: dict[str, SliceArrays], classes: tuple[str, ...], batch_size: int) -> dict | None:
    """The test part's scores, as JSON; None where there is no such part.

    Returns:
        ``pictures``; ``accuracy``; ``floor``, the accuracy of always answering ``always``, the commonest class of the train
        part; ``recall``, a share a class, None where the part has no picture of it; and ``meaning``.
    """
    test = parts["test"]
    if not len(test.rows):
        return None
    batches = ValidationBatches(test, batch_size)
    steps = tracked(range(len(batches)), "scoring held-out pictures")
    answers = [decision.probabilities(model.predict_on_batch(batches[i][0])).argmax(axis=1) for i in steps]
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (test.targets[test.rows], np.concatenate(answers)), 1)
    of_class = confusion.sum(axis=1)
    commonest = int(np.bincount(test.targets[parts["train"].rows]).argmax())
    right = np.diag(confusion)
    return {
        "pictures": len(test.rows),
        "accuracy": round(float(right.sum() / of_class.sum()), 4),
        "floor": round(float(of_class[commonest] / of_class.sum()), 4),
        "always": classes[commonest],
        "recall": {name: round(float(hit / n), 4) if n else None for name, hit, n in zip(classes, right, of_class, strict=True)},
        "meaning": UPPER_BOUND,
    }


def _weights_of(path: Path) -> str | None:
    """The run that left the weights at ``path``; None where there are none, or damaged ones."""
    try:
        return weights.read_record(path).get("run")
    except ModelError:
        return None


def _record(recipe: Pretraining, run: RunFolder) -> dict:
    facts, known = run.description, KNOWN_SETS.get(recipe.name)
    return {
        "name": recipe.name,
        "kaggle": known and known.kaggle,
        "licence": known and known.licence,
        "normalisation": recipe.normalisation,
        "scaling": "of each lone picture; there is no volume",
        "pictures": facts["pictures"],
        "epochs": recipe.epochs,
        "minutes": round(facts["training_seconds"] / 60, 1),
        "seed": recipe.seed,
        "precision": facts["precision"],
        "held_out": facts["held_out"],
        "run": run.path.name,
        "recipe": facts["recipe"],
        "environment": facts["environment"],
    }
