"""What calls add up to: roll-ups kept by a reader of the events, and the figures made of them."""
