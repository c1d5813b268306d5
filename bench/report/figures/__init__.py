"""Summary -> figures, one module each: derived files, like the tables."""
