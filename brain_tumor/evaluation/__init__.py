"""Ground floor, no Keras: arrays and tables in, numbers out."""
