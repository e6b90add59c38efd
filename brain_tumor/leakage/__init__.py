"""The split auditor: what does one part of a split know of another? It reads any split file, and no Keras."""
