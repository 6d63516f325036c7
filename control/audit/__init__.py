"""The audit log of changes, sealed into a hash chain."""
