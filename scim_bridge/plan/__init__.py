"""Deciding, without acting: what differs, which calls close it, what the brake holds."""
