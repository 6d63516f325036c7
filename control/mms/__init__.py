"""Files of inbound texts: fetched from the carrier, stored beside the recordings, and served."""
