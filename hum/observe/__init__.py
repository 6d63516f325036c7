"""Logs, metrics, traces, and the operator's socket."""
