"""Tests, laid out like the packages they test; `strategies` modules are shared."""
