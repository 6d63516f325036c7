"""`python -m cli`, the same as `hum`."""

from cli import main

main()
