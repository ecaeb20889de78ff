"""Tests mirror the tree; those marked `service` run against the whole service, really started."""
