"""``brain-tumor``: one small file a group of verbs. Each command imports what it needs when it runs, so help is instant."""
