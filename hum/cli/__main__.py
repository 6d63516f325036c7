"""`python -m hum.cli`, the same as `hum`."""

from hum.cli import main

main()
