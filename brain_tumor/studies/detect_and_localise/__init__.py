"""Notebook 11: who finds the slices with tumour, networks that learnt labels or masks, and do they look at the tumour?"""
