"""The peers' servers, each run in an environment of its own below `var/bench/`."""
