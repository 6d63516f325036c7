"""Recall and latency of look-ups in documents."""
