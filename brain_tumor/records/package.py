"""A trained model in one file: a maintainer attaches it to a release, and a person takes it with one command.

The file is a zip of what :class:`brain_tumor.inference.predictor.Predictor` needs and of the model's card. Anything else in it is
refused, and nothing in it is ever run.
"""

import re
import shutil
import zipfile
from pathlib import Path

from brain_tumor import files
from brain_tumor.errors import FileError, ModelError
from brain_tumor.inference import familiarity
from brain_tumor.inference.predictor import Predictor
from brain_tumor.models import saved
from brain_tumor.models.download import download
from brain_tumor.paths import data_folder
from brain_tumor.records import card as cards
from brain_tumor.training.runs import find_run

FOLDER = "models"  # in the data folder
MEMBER = re.compile(rf"(member-\d{{1,2}}/)?({re.escape(saved.DESCRIPTION)}|{re.escape(saved.WEIGHTS)})")
BESIDE = (cards.FILE, familiarity.FILE)
NAME = re.compile(r"[\w-][\w.-]{0,120}")
MOST_FILES, MOST_BYTES = 64, 2 << 30
LONGEST = 64 << 20  # of a description, which is text


def pack(folder: Path, file: Path) -> str:
    """Write a model's folder as one file.

    Args:
        folder: a finished run's, or a package's.
        file: ``.zip``.

    Returns:
        The SHA-256 of the file, for those who take it.

    Raises:
        ModelError: something is missing or damaged.
    """
    Predictor.load(folder)  # every hash is checked
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    chosen = [name for name in names if MEMBER.fullmatch(name) or name == familiarity.FILE]
    card = files.canonical_json(cards.of(folder))
    with files.atomic_path(file) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(cards.FILE), card)  # without a time of day: the same model is the same file
            for name in chosen:
                archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes(), zipfile.ZIP_DEFLATED)
        digest = files.sha256_file(temporary)
    return digest


def get(source: str, sha256: str = "") -> Path:
    """Take a packed model into this home; a second call finds it.

    Args:
        source: a file, or an address.
        sha256: that the file must have; needed of an address.

    Returns:
        The model's folder.

    Raises:
        ModelError: the file is another, damaged, or holds what is no part of a model.
    """
    folder = data_folder() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    if "://" not in source:
        return _take(Path(source), sha256, folder)
    if not sha256:
        raise ModelError(f"{source}: give the SHA-256 that its publisher states: --sha256 ...")
    with files.atomic_folder(folder / ".download") as temporary:
        download(source, temporary / "model.zip", f"sha256:{sha256}")
        taken = _take(temporary / "model.zip", sha256, folder)
    shutil.rmtree(folder / ".download", ignore_errors=True)
    return taken


def packages() -> list[Path]:
    """The folders of the packed models of this home."""
    return sorted(path.parent for path in (data_folder() / FOLDER).glob(f"*/{cards.FILE}"))


def find(name: str) -> Path:
    """The folder of a packed model or of a run, by its name.

    Raises:
        RunError: there is none.
    """
    package = next((folder for folder in packages() if folder.name == name), None)
    return package or find_run(name).path


def _take(file: Path, sha256: str, folder: Path) -> Path:
    if not file.is_file():
        raise ModelError(f"{file}: no such file")
    digest = files.sha256_file(file)
    if sha256 and digest != sha256.lower():
        raise ModelError(f"{file}: SHA-256 {digest[:12]}, expected {sha256[:12]}; it is damaged or another's")
    try:
        with zipfile.ZipFile(file) as archive:
            members = _checked(file, archive)
            card = files.parse_json(archive.read(cards.FILE), str(file))
            name = str(card.get("name", ""))
            if not NAME.fullmatch(name):
                raise ModelError(f"{file}: its card names no model")
            with files.atomic_folder(folder / name) as temporary:
                for member in members:
                    target = temporary / member.filename
                    target.parent.mkdir(exist_ok=True)
                    with archive.open(member) as stream, open(target, "xb") as whole:
                        shutil.copyfileobj(stream, whole, files.CHUNK_BYTES)
                Predictor.load(temporary)  # every hash is checked before the folder has its name
                if card.get("weights_sha256") != saved.read(temporary)["weights_sha256"]:
                    raise ModelError(f"{file}: its card is of other weights")
    except (zipfile.BadZipFile, FileError, KeyError, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{file}: no packed model, or a damaged one ({error})") from None
    return folder / name


def _checked(file: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members, once each of them is part of a model and all are within bounds."""
    members = archive.infolist()
    names = [member.filename for member in members]
    for member in members:
        if not (MEMBER.fullmatch(member.filename) or member.filename in BESIDE):
            raise ModelError(f"{file}: holds {member.filename!r}, which is no part of a model")
        if member.filename.endswith(".json") and member.file_size > LONGEST:
            raise ModelError(f"{file}: its {member.filename} announces {member.file_size:,} bytes")
    if len(set(names)) != len(names) or len(names) > MOST_FILES:
        raise ModelError(f"{file}: {len(names)} members, or one of them twice")
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise ModelError(f"{file}: unpacks to more than {MOST_BYTES >> 30} GB")
    if cards.FILE not in names or saved.DESCRIPTION not in names:
        raise ModelError(f"{file}: no packed model: {cards.FILE} or {saved.DESCRIPTION} is missing")
    return members
