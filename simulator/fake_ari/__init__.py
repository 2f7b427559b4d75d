"""The simulated world served as Asterisk's ARI, in real time: see `server` and docs/fake-ari.md."""

from simulator.fake_ari.script import LoggedCaller
from simulator.fake_ari.server import FakeAri

__all__ = ["FakeAri", "LoggedCaller"]
