"""Reading and writing each file format; `endings.py` says which name means which."""
