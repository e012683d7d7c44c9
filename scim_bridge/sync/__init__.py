"""Bringing a target to what the directory wants: marks, leases, passes, and who drives them."""

# The name of Identity Center among the targets.
TARGET = "identity-center"
