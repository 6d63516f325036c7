"""A call that goes on, as all features that act on one see it: its statuses, its stream, its turns, the pending step, commands to it."""
