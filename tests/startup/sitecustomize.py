"""What every process of `make test` begins with: it has this folder on its PYTHONPATH, notebook kernels included.

`ABSENT` names packages that such a process lacks: the other backend, as on a machine that has only one, and what costs a second to
import and no test asks for. ``None`` in ``sys.modules`` is Python's own way to say "not there": an import raises
ModuleNotFoundError and ``importlib.util.find_spec`` finds nothing, as where the package was never installed.

Keras and TensorFlow make very many objects as they are imported, few of them garbage: a fifth of that time went into looking for it,
and an eighth of the time of tests.
"""

import gc
import os
import sys

gc.set_threshold(50_000, 50, 50)
sys.modules.update(dict.fromkeys(os.environ.get("ABSENT", "").split()))
