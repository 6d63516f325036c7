"""A process of HUM: how it starts, listens, leaves, ends, and is watched."""
