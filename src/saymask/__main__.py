"""`python -m saymask` is the same as `saymask`."""

from saymask.cli.main import main

main()
