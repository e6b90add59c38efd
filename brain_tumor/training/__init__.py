"""Second floor: batches, augmentation, losses, optimisers, stages, cached features, pretraining and run folders.

Models and arrays arrive as arguments.
"""

import brain_tumor.models  # noqa: F401  # it refuses an unknown backend before this room imports Keras
