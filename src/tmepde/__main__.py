"""``python -m tmepde``: the command ``tmepde``, where it is not on the path."""

from tmepde.cli import main

main()
