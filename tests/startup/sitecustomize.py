"""What every process of `make test` begins with: it has this folder on its PYTHONPATH, notebook kernels included.

`ABSENT` names packages that such a process lacks, as if they were not installed: the other backend, as on a machine that has only
one, and what costs a second to import and no test asks for.

Keras and TensorFlow make very many objects as they are imported, few of them garbage: a fifth of that time went into looking for
it, and an eighth of the time of tests; and a process that had imported them took a second to end, for the same reason.
"""

import atexit
import gc
import os
import sys
from importlib.machinery import PathFinder

ABSENT = os.environ.get("ABSENT", "").split()


class Installed(PathFinder):
    """Finds what is installed, but for that."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in ABSENT else super().find_spec(name, path, target)


gc.set_threshold(50_000, 50, 50)
atexit.register(gc.freeze)
sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
