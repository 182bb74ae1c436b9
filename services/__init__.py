"""Use cases, one module per noun. Only this layer opens transactions."""
