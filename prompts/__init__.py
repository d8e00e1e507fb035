"""The prompt files; data only."""
