"""Usage of calls, texts and the model: entries, their costs, and roll-ups."""
