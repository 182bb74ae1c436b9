"""The migrations of the schema: numbered, applied in this order, never edited after release."""
