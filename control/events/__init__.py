"""Events: what happened, for whoever catches up by itself."""
