"""What a spec takes away, in namespaces in which nothing is repaired."""
