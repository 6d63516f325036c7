"""The control plane: authorization and all state.  The only plane that uses the database."""
