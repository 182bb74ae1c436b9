"""Rows and named queries, one module per noun: the only room that knows SQL."""
