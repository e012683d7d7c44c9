"""Bringing a target to what the directory wants: marks, leases, passes, and who drives them."""

# The name of Identity Center among the targets.
TARGET = "identity-center"
# The marks and leases of account and application assignments. They are delivered beside users,
# groups and memberships, through another door of AWS's.
ACCESS_TARGET = "identity-center.access"
