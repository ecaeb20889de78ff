"""Which WSGI server: what each refuses and how it keeps up. `python -m bench.servers`."""
