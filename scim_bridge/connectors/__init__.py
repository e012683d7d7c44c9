"""Who else is told something: systems and people other than Identity Center."""
