"""Notebook 02: how much a score gains when slices of one patient lie on both sides of a split."""
