"""Executions of agents' tools: a row for each run, in calls, texts and events."""
