"""What a notebook's kernel begins with where `make test` runs it small: what `conftest.py` gives tests, for the same reasons.

The Makefile puts a copy where IPython looks for such files.
"""

import gc
import os

from brain_tumor.data.phantom import open_phantom
from brain_tumor.evaluation import intervals

open_phantom.__defaults__ = (8, (8, 10), 64, 0)
intervals.RESAMPLES = 100
if os.environ.get("KERAS_BACKEND") != "jax":
    import tensorflow

    tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    del tensorflow
gc.set_threshold(50_000, 50, 50)
gc.freeze()
del gc, os, open_phantom, intervals
