"""Notebook 06: the experiments that source 002 names without a number, each cell trained and compared by patient."""
