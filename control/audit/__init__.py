"""The audit log: who changed what, sealed into a chain."""
