"""CRM connectors: customers' systems that know who calls, and that are told of what is over."""
