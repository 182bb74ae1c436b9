"""The same four endpoints on the same tables, as other people would build them.

Each does what Orderly does for a request: it checks the shape of what comes and goes, verifies the
bearer token where one is needed, and places an order with its idempotency key, stock, ledger and
event in one transaction. What Orderly does besides (its log, entity tags, problem documents, the
look at who is signed out) they are spared.
"""
