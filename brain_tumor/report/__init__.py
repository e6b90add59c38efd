"""The attic's gallery: figures, records, and notebooks turned into self-contained HTML with a sidecar of their numbers."""
