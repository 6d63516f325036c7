"""CRM connectors: customers' systems that identify callers, and to which finished calls and conversations are synced."""
