"""The peers of `speed.py`, each written as its users write it; what is not installed is skipped."""
