"""HTTP tools: requests to customers' systems, made by an agent or by hooks before it speaks."""
