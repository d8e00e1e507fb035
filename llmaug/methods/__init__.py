"""The literature: each method a prompt file and a few lines."""
