"""Tests of flow documents: shape, rules, paths, differences, schema."""
