"""The control plane: who may do what, and what is true.  The only plane that knows the database."""
