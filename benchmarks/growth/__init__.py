"""How much slower requests are in a shop with a thousand times as many rows."""
