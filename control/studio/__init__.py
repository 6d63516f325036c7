"""The studio: trials, proposals and previews of flows, of which nothing is stored."""
