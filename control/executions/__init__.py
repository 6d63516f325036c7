"""What agents' tools did: a row for each time that one ran, whoever ran it."""
