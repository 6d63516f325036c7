"""The contract's messages as JSON, and JSON Schemas."""
