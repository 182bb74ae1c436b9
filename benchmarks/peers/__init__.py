"""Servers to compare Orderly with: other stacks that implement four of its endpoints.

They use the same tables. Each server validates requests and responses, verifies the bearer token
where one is required, and places an order with its idempotency key, stock movements and event in
one transaction. They lack Orderly's request log, entity tags, problem documents and check for
revoked sessions.
"""
