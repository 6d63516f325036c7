"""Shared code: the contract (`hum.v1`) and what every plane needs.  Imports no plane."""
