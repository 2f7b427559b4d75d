"""Calls of an earlier life of this engine, taken back after a crash or a hand-over: see docs/resume.md."""
