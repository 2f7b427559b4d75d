"""Tests of sound, by measuring it."""
