"""Who control calls: the carrier and the model.  Each is a Protocol, and one class that speaks to the real one."""
