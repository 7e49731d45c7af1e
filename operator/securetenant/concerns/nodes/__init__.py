"""Nodes that tenants have for themselves."""
