"""Whose a name is: one key by which patients are compared, however their names are spelt.

One patient (on the left what people write, on the right the key):

* ``TCGA-CS-4941``, ``TCGA_CS_4941``, ``tcga cs 4941`` -> ``tcga_cs_4941``: letters in any case; ``-``, ``_`` and blanks part a
  name into pieces, however many stand together, and mean nothing around it.
* ``7``, ``007``, ``7.0`` -> ``7``: numbers are numbers.
* ``BRATS_001``, ``BRATS-1`` -> ``brats_1``; ``P007``, ``p7`` -> ``p7``: a piece that is a number, or letters and a number, has no
  leading zeros. No two pieces of one length are made one by this, so codes of a fixed length stay apart.

Two patients, since one cohort may have both: ``A1`` and ``A_1`` (nothing is parted or joined, or ``1_11`` would be ``11_1``);
``P7`` and ``7``; ``A01B`` and ``A1B`` (digits inside a code); ``7.5`` and ``7``; a patient and an exam (``TCGA_CS_4941`` and
``TCGA_CS_4941_19960909``: a pattern says what of a name is the patient).
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from brain_tumor.data import text

PARTED = re.compile(r"[\s_\-\u2010-\u2015]+")  # with the dashes that word processors put for -
ZEROS = re.compile(r"\A([^\W\d]*)0+([0-9]+)\Z")
DECIMALS = re.compile(r"([0-9]+)[.,]0+")  # a number that went through a spreadsheet


@lru_cache(maxsize=1 << 16)
def key(name: str) -> str:
    """What two spellings of one patient's name share; ``""`` for a name that says nothing (``NA``, ``-``)."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name.casefold()).casefold())
    pieces = [piece for piece in PARTED.split(unicodedata.normalize("NFKC", folded)) if piece]
    if len(pieces) == 1 and (number := DECIMALS.fullmatch(pieces[0])):
        pieces = [number[1]]
    joined = "_".join(ZEROS.sub(r"\1\2", piece) for piece in pieces)
    return "" if text.is_blank(joined) else joined


def united(names: Iterable[str]) -> dict[str, str]:
    """Every distinct name -> the first spelling of the same key, by which patients can then be compared as they are."""
    first: dict[str, str] = {}
    return {name: first.setdefault(key(name), name) for name in dict.fromkeys(names)}


def spelt_as(names: Iterable[str], present: set[str]) -> dict[str, str]:
    """Each name -> the one among ``present`` that has the same key; itself where there is none."""
    strangers = set(names := list(names)) - present
    spellings = {key(name): name for name in present} if strangers else {}
    return {name: spellings.get(key(name), name) if name in strangers else name for name in names}


def in_words(spellings: dict[str, str]) -> str:
    """What :func:`united` changed, for a person; ``""`` where it changed nothing."""
    changes = [(name, other) for name, other in spellings.items() if name != other]
    if not changes:
        return ""
    (name, other), number = changes[0], len(changes)
    return (
        f"Patients are compared without regard to case, blanks, - and _, leading zeros: {number:,} name{'s' * (number > 1)} "
        f"changed, such as {name!r} to {other!r}."
    )
