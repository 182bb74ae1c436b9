"""HTTP handlers: unpack the request, call one service, represent the result."""
