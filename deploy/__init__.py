"""Ways to run the whole service."""
