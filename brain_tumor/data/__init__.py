"""Ground floor, no Keras: cohorts and their readers, the phantom, the cache, splits and audits."""
