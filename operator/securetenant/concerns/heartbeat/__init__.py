"""Whether the operator can do its work, which its Lease tells the cluster."""
