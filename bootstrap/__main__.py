"""``python -m bootstrap``: the same as the command ``bootstrap``."""

from bootstrap.cli.main import main

main()
