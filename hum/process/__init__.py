"""A process of HUM: how it starts, listens, tells its operator how it is, leaves, ends, and is watched."""
