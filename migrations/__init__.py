"""The schema's history: numbered steps, applied in order, never edited once applied."""
