"""A call that goes on, as all features that act on one see it: its statuses, its stream, its turns, the step that it owes, commands to it."""
