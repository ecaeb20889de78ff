"""This service against its peers and against the bare engine: `python -m bench.compare`."""
