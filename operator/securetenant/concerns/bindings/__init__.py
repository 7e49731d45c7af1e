"""RoleBindings that others made, and what they give away."""
