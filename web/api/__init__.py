"""One file per protocol; each makes a blueprint from its collaborators."""
