"""CRM connectors: customers' systems that identify callers and receive finished calls and conversations."""
