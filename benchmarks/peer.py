"""PyTorch's side: the U-Net of segmentation_models_pytorch, trained and asked as it is fastest on a processor.

Channels last, AdamW, autocast to bfloat16; ``torch.compile`` is slower here. Batches, loss and 1cycle are this project's.
"""

import sys

import numpy as np
from sides import PEER

sys.path.append(str(PEER))  # behind .venv, whose own packages come first
import torch
from material import BATCH, DTYPES, SIDES, SIZE, open_material, seconds

from brain_tumor.data.intensity import normalise
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.batches import TrainingBatches

BACKBONES = {"unet-resnet18": "resnet18"}


def _load_library():
    """The library, where torchvision's compiled part does not fit a PyTorch for processors too."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # it lacks the operators that its compiled part would define
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor a, Tensor b, float c) -> Tensor")
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        _load_library.kept = library
    import segmentation_models_pytorch

    return segmentation_models_pytorch


class Worker:
    """What can be asked of this side (:class:`sides.Side`)."""

    def __init__(self, threads: int):
        torch.set_num_threads(threads)
        self.networks = {}

    def open(self, root: str, size: int = SIZE) -> int:
        """The number of slices."""
        self.material = open_material(root, size)
        self.number, self.batch_of = 0, self.material.endless()
        return len(self.material.slices)

    def version(self) -> dict:
        return {"torch": torch.__version__, "segmentation_models_pytorch": _load_library().__version__}

    def peak(self, precision: str) -> float:
        """Floating-point operations a second of the fastest square matrix product."""
        rates = []
        for side in SIDES:
            matrix = torch.full((side, side), 0.5, dtype=getattr(torch, DTYPES[precision]))
            rates += [2 * side**3 / seconds(lambda m=matrix: torch.mm(m, m)) for _ in range(9)]
        return max(rates)

    def prepare(self, model: str, precision: str, batch: int = BATCH) -> None:
        """A network, and two steps and predictions so that nothing is done for the first time when the clock runs."""
        self.batch_of = self.material.endless(batch)
        self.networks[model, precision] = _network(model)
        self.train(model, precision, 2)
        self.predict(model, precision, 2)

    def train(self, model: str, precision: str, steps: int) -> float:
        """Seconds of so many training steps, with their batches."""
        network, optimiser = self.networks[model, precision]
        network.train()

        def run() -> None:
            for _ in range(steps):
                _step(network, optimiser, *self.batch_of(self.number), precision)
                self.number += 1

        return seconds(run)

    def predict(self, model: str, precision: str, batches: int) -> float:
        """Seconds of so many batches of slices to logits."""
        network, _ = self.networks[model, precision]
        network.eval()
        arrays = self.material.arrays
        return seconds(lambda: _logits(network, arrays, np.arange(batches * BATCH) % len(arrays.rows), precision))

    def fit(self, train: list[int], test: list[int], epochs: int, seed: int, precision: str, into: str, max_lr: float = 1e-3):
        """Train a whole 1cycle on some rows, then write the probabilities of others; the seconds of the training alone."""
        torch.manual_seed(seed)
        network, optimiser = _network("unet-resnet18")
        arrays, rows = self.material.of(train), np.asarray(test)
        length = len(arrays.rows) // BATCH
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr, total_steps=epochs * length, pct_start=0.3)
        network.train()

        def run() -> None:
            for epoch in range(epochs):
                batches = TrainingBatches(arrays, BATCH, Augmentation(), seed, epoch)
                for index in range(length):
                    _step(network, optimiser, *batches[index], precision)
                    cycle.step()

        spent = seconds(run)
        network.eval()
        plain, mirrored = (_logits(network, self.material.arrays, rows, precision, flip) for flip in (False, True))
        probability = (torch.sigmoid(plain) + torch.sigmoid(mirrored.flip(3))) / 2
        np.save(into, np.rint(255 * probability[:, 0].numpy()).astype(np.uint8))
        return {"seconds": spent, "steps": epochs * length}


def _network(model: str):
    network = _load_library().Unet(BACKBONES[model], encoder_weights=None, in_channels=3, classes=1)
    network = network.to(memory_format=torch.channels_last)
    return network, torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-2)


def _images(images: np.ndarray):
    return torch.from_numpy(images).permute(0, 3, 1, 2)  # channels last in memory already


def _step(network, optimiser, images: np.ndarray, masks: np.ndarray, precision: str) -> None:
    optimiser.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision != "float32"):
        logits = network(_images(images))
    logits, truth = logits.float(), _images(masks)
    probability = torch.sigmoid(logits)
    dice = (2 * (truth * probability).sum() + 1) / (truth.sum() + probability.sum() + 1)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth) + 1 - dice
    loss.backward()
    optimiser.step()
    loss.item()  # as a person who watches the loss would


def _logits(network, arrays, rows: np.ndarray, precision: str, flip: bool = False):
    answers = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision != "float32"):
        for start in range(0, len(rows), BATCH):
            images, _, scalings = arrays.take(rows[start : start + BATCH])
            images = normalise(images[:, :, ::-1] if flip else images, scalings)
            answers.append(network(_images(images)).float())
    return torch.cat(answers)
