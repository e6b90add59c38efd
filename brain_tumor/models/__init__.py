"""First floor: Keras models, built by named constructors from plain arguments. It knows no data."""
