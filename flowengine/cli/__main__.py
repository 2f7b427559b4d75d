"""`python -m flowengine.cli`."""

from flowengine.cli import main

main()
