"""Second floor: batches, augmentation, losses, optimisers, stages, cached features, pretraining and run folders.

Models and arrays arrive as arguments.
"""
