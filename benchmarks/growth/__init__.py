"""Measures how much slower service calls are in a shop with up to a thousand times as many rows."""
