"""What people add to calls afterwards, and whom the organization no longer answers."""
