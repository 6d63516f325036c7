"""Review: what people add to calls afterwards, and which numbers the organization blocks."""
