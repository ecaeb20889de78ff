"""The workers' wing: takes batches from the queue and runs them."""
