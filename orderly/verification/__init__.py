"""Verifies a running server against its contract: the command `orderly verify`."""
