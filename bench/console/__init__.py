"""What somebody who works in the web console waits for."""
