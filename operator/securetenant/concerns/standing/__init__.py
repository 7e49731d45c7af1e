"""What is already in tenants' namespaces, judged again by the rules of today."""
