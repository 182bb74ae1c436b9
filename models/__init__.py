"""Tables and named queries, one module per noun. Only this layer and `database` contain SQL."""
