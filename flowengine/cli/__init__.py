"""The `flowengine` command."""

from flowengine.cli.app import app, main

__all__ = ["app", "main"]
