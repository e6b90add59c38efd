"""First floor: Keras models, built by named constructors from plain arguments. It knows no data."""

import os

# TensorFlow computes independent operations at once, and float32 gradients of the U-Net then differ in their last bits from one
# process to the next: 3 of 3 runs of 10 steps differed, none with one operation at a time, which is no slower (each is computed
# by all cores). It reads this when its first operation runs, so it is said before any model can be built (DESIGN law 5).
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

from brain_tumor.models import backend

backend.check()  # before any module of ours imports Keras, which would answer an unknown backend with a traceback
