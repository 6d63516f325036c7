"""How well and how fast agents find what the documents say."""
