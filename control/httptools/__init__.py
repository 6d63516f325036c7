"""HTTP tools: requests to customers' systems that an agent makes, or that are made before it speaks."""
