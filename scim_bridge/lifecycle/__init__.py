"""What people should hold, by the rules of joining, moving and leaving. Pure."""
