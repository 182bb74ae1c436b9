"""Use cases, one module per noun: the only room that opens transactions."""
