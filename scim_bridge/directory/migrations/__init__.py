"""The steps by which a database's schema came to be what it is. Append-only."""
