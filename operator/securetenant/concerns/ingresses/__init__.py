"""Ingresses from before, and the host names that they serve."""
