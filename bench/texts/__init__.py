"""Benchmarks of texts: whether each is sent once whatever dies (`matrix`), and how fast (`python -m bench.texts`)."""
