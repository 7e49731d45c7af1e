"""NetworkPolicies that others made, and what they open."""
