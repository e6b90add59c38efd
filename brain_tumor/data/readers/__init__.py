"""Readers: one file a kind of source, each of which turns a tree of files into a cohort or a set of pictures."""
