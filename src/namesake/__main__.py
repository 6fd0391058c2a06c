"""`python -m namesake`."""

from namesake.cli import main

main()
