"""Whether evidence holds, and whom to trust."""
