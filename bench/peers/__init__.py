"""Other gateways on our benchmarks' workloads.  They run in their own Python environment: requirements/peers.txt."""
