"""Makes `import tensorflow` fail in every process that has this folder on PYTHONPATH, notebook kernels included.

It stands in for a machine that has only JAX. ``None`` in ``sys.modules`` is Python's own way to say "not there": an import
raises ModuleNotFoundError and ``importlib.util.find_spec`` finds nothing, as where TensorFlow was never installed.
"""

import sys

sys.modules["tensorflow"] = None
