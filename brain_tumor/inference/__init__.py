"""Third floor: whole cases in, predictions at native size out."""
