"""Measurements that a decision rests on, each re-run by one command."""
