"""Benchmarks, one command each: `python -m bench.<name>` prints a table, and JSON with `--json FILE`."""
