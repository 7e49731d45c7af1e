"""What others made in a quarantined tenant's namespaces: put aside, and brought back at its end."""
