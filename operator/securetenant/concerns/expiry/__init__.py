"""Access that ends at a moment: it is taken then, and told before, at and after that."""
