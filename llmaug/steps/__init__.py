"""The closed set of primitives that the engine can run, one file per family."""
