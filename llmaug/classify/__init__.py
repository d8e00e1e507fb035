"""Classifiers of texts: test-time augmentation around any of them, and a small one of our own."""
