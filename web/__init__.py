"""The web tier's wing: HTTP in, crops to the queue, results out."""
