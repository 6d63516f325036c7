"""The contract, generated from proto/ by proto/generate.py.  Never edited."""
