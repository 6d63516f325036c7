"""Analytics: roll-ups of calls, kept by a reader of the events, and the figures computed from them."""
