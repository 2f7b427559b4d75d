"""Metering: calls are charged while they run, increment by increment, before each of them begins.

`meter` is the `Meter` of an engine, `leg` what one billable leg owes, `books` carries out what many legs want in one
transaction, `recovery` settles what an engine that died has left. docs/metering.md describes it from outside.
"""
