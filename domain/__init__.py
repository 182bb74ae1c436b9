"""Rules of the shop as pure functions: no HTTP, no SQL, no imports from other layers."""
