"""Orderly: a contract-first order-management API on PostgreSQL."""

__version__ = "0.3.0"
