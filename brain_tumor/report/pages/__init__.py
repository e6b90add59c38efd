"""HTML pages that stand by themselves: notebooks, runs, cross-validations, the index, the README's block of results."""
