"""Fourth floor: the frozen description of a run, and the only place that joins cohort, model, run, inference and evaluation."""
