"""The contract (`hum.v1`) at run time: services, authorization, validation, errors, and its messages as JSON."""
