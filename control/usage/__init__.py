"""Usage: what calls, texts and the model used, what that costs, and its roll-ups, kept by a reader of the events."""
