"""Servers to compare Orderly with: four of its endpoints on the same tables, on other stacks.

Each server validates requests and responses, verifies the bearer token where one is required, and
places an order with its idempotency key, stock movements and event in one transaction. They do not
have Orderly's request log, entity tags, problem documents and check for revoked sessions.
"""
