"""Telephones, people and a switch made of nothing but a heap of times: the engine's test bench."""
