"""How the rows of a list are found: estimate first, then choose a way, so that no search can be slow."""
