"""Anybody's predictions, judged as our own runs are: a product of its own, without Keras."""
