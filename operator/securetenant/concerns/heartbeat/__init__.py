"""The Lease that says that the operator is at work."""
