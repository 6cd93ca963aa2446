"""``python -m tmepde.cli``."""

from tmepde.cli import main

main()
