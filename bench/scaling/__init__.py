"""How the service grows: a sweep with an engine that only waits, and the cost model it gives."""
