"""The contract, generated from proto/ by proto/contract.py.  Never edited."""
