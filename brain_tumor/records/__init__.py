"""What git keeps of runs, cross-validations and grids: numbers and curves, never a pixel, never a weight."""
