"""Analytics: roll-ups of calls, maintained by a reader of the events, and the figures computed from them."""
