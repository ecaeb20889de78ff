"""The ground floor: what the web tier and the workers both stand on."""
