"""Studies: what one notebook alone needs. A study may import the house; the house never imports a study."""
