"""One module per revision, in the order of its number."""
