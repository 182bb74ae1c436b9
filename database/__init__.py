"""How SQL is run: connections, transactions, prepared statements, keyset listings, migrations."""
