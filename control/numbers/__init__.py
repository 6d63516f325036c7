"""Numbers, and what the carrier must know of them."""
