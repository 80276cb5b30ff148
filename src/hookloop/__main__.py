"""`python -m hookloop` is the `hookloop` command."""

from .cli import main

main()
