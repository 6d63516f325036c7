"""Benchmarks of texts: whether each leaves once whatever dies (`matrix`), and how fast (`python -m bench.texts`)."""
