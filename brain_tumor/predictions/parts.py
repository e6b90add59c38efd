"""Which part of a split each file is in, read from the split's file alone: ours, nnU-Net's folds, or a CSV (file, part)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.data import patients, splits, text
from brain_tumor.errors import SplitError
from brain_tumor.predictions import pairing
from brain_tumor.predictions.identity import Identity, read_rows

EXPECTED = "our JSON (train, validation, test), nnU-Net's splits_final.json, or a CSV (file, part)"


@dataclass(frozen=True)
class Parts:
    """A split as its file names it.

    Attributes:
        name: the split's, or its file's.
        of_name: the key (:mod:`brain_tumor.data.patients`) of a case, slice, file or patient -> ``train``, ``validation`` or
            ``test``.
        scored: the part that is scored: ``test``, or ``validation`` where there is no test part.
    """

    name: str
    of_name: Mapping[str, str]
    scored: str

    def of(self, key: str, who: Identity) -> str | None:
        """The part of a file; None where the split does not name it."""
        names = (key, key.rsplit("/", 1)[-1], f"{who.case_id}/{who.number}", who.case_id, who.patient or "")
        return next((self.of_name[patients.key(name)] for name in names if patients.key(name) in self.of_name), None)


def read(path: Path, fold: int | None = None) -> Parts:
    """Read a split.

    Args:
        fold: of nnU-Net's folds, the one whose ``val`` list was predicted.

    Raises:
        SplitError: unreadable, a name in two parts, no train part, nothing to score, or folds of which none was named.
    """
    if path.suffix.lower() == ".csv":
        listed: dict[str, list[str]] = {}
        for line, row in read_rows(path)[1]:
            if not row.get("file") or not row.get("part"):
                raise SplitError(f"{path}, line {line}: file or part is missing; expected {EXPECTED}")
            listed.setdefault(row["part"], []).append(text.posix(row["file"]))
        return _parts(path.name, listed, path)
    content = text.read_json(path)
    if isinstance(content, list) and content and all(isinstance(each, dict) for each in content):
        if fold is None and len(content) > 1:
            raise SplitError(f"{path}: {len(content)} folds; say which one was predicted: --fold 0 to --fold {len(content) - 1}")
        if not 0 <= (fold or 0) < len(content):
            raise SplitError(f"{path}: no fold {fold}, expected 0 to {len(content) - 1}")
        return _parts(f"{path.name}, fold {fold or 0}", content[fold or 0], path)
    if not isinstance(content, dict):
        raise SplitError(f"{path}: not a split; expected {EXPECTED}")
    listed = {name: keys for name, keys in content.items() if isinstance(keys, list)}
    return _parts(str(content.get("name", path.name)), listed, path)


def _parts(name: str, listed: Mapping[str, object], path: Path) -> Parts:
    of_name: dict[str, str] = {}
    for part, keys in listed.items():
        side = splits.side(part)
        if side == len(splits.SIDES):
            raise SplitError(f"{path}: the part {part!r} is none of train, validation and test")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise SplitError(f"{path}: the {part} part is not a list of names")
        for key in keys:
            known = of_name.setdefault(patients.key(_name(key)), splits.PARTS_BY_SIDE[side])
            if known != splits.PARTS_BY_SIDE[side]:
                raise SplitError(f"{path}: {key!r} is twice in the split, in {known} and {splits.PARTS_BY_SIDE[side]}")
    present = set(of_name.values())
    scored = next((part for part in ("test", "validation") if part in present), None)
    if scored is None or "train" not in present:
        raise SplitError(f"{path}: the {'train' if scored else 'test'} part is empty; expected {EXPECTED}")
    return Parts(name, of_name, scored)


def _name(key: str) -> str:
    """A name of a split as a key; ``case/number`` stays as it is."""
    return pairing.key_of(key) if pairing.masks.ending(Path(key)) else key
