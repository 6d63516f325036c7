"""Workload M of docs/benchmarks/media.md: the media plane under many calls, driven through its sockets."""
