"""JSON values and names of the contract's fields, and JSON Schemas."""
