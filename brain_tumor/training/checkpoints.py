"""A checkpoint: the folder from which a killed training resumes exactly, written whole and read whole, or refused by name.

``checkpoint.weights.h5``, ``optimiser.npz`` (an array a variable), perhaps ``averages.npz``, and ``state.json``: epoch, history,
and the SHA-256 of the weights, since HDF5 reads a file whose end is zeros as if nothing were wrong. NPZ files carry check sums of
their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from brain_tumor import files
from brain_tumor.errors import RunError
from brain_tumor.evaluation import storage
from brain_tumor.training.averages import Averages

STATE, WEIGHTS, OPTIMISER, AVERAGES = "state.json", "checkpoint.weights.h5", "optimiser.npz", "averages.npz"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after a whole epoch.

    Attributes:
        path: its folder.
    """

    path: Path

    def write(self, model: keras.Model, epoch: int, history: list[dict], averages: Averages | None = None) -> None:
        """Write the state of a compiled model after ``epoch`` epochs: the whole folder, or nothing."""
        with files.atomic_folder(self.path) as temporary:
            model.save_weights(temporary / WEIGHTS)
            variables = enumerate(model.optimizer.variables)
            arrays: dict[str, Any] = {f"v{i}": np.asarray(keras.ops.convert_to_tensor(v)) for i, v in variables}
            np.savez(temporary / OPTIMISER, **arrays)
            if averages:
                np.savez(temporary / AVERAGES, allow_pickle=False, **averages.to_arrays())
            digest = files.sha256_file(temporary / WEIGHTS)
            files.write_json(temporary / STATE, {"epoch": epoch, "history": history, "weights_sha256": digest})

    def state(self) -> dict:
        """``state.json``: ``epoch`` (done), ``history`` (a row an epoch) and, but of earlier versions, ``weights_sha256``.

        Raises:
            RunError: it is damaged.
        """
        with self._file(STATE) as path:
            return files.read_json(path, ("epoch", "history"))

    def restore_weights(self, model: keras.Model) -> None:
        """Load the weights into ``model``.

        Raises:
            RunError: they are damaged, or another network's.
        """
        expected = self.state().get("weights_sha256")
        with self._file(WEIGHTS) as path:
            if expected and files.sha256_file(path) != expected:
                raise files.damaged(path, "not the bytes that were saved" if path.stat().st_size else "empty")
            model.load_weights(path)

    def restore_optimiser(self, model: keras.Model) -> None:
        """Load the optimiser's variables into the compiled, built ``model``.

        Raises:
            RunError: they are damaged, or another network's.
        """
        with self._file(OPTIMISER) as path, storage.arrays(path) as arrays:
            for i, variable in enumerate(model.optimizer.variables):
                variable.assign(arrays[f"v{i}"])

    def restore_averages(self, averages: Averages) -> None:
        """Go on with the moving averages of the weights.

        Raises:
            RunError: they are damaged, or another network's.
        """
        with self._file(AVERAGES) as path, storage.arrays(path) as arrays:
            averages.from_arrays(arrays)

    @contextmanager
    def _file(self, name: str) -> Iterator[Path]:
        """A file to be read; where that fails, the refusal says what to remove."""
        path = self.path / name
        try:
            yield path
        except (OSError, ValueError, KeyError) as error:  # Keras and HDF5 name no file
            reason = "no such file" if isinstance(error, FileNotFoundError) else getattr(error, "reason", "")
            raise RunError(
                f"{path}: damaged ({reason or 'cut short, or of another network'}); copy it again, or remove {self.path} and the "
                "training begins anew"
            ) from error
