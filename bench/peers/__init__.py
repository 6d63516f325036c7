"""Other people's gateways on our benchmarks' workloads.  They run in an environment of their own: requirements/peers.txt."""
