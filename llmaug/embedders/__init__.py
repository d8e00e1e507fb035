"""Embedders: models that map texts to vectors, for filters, classifiers and retrieval."""
