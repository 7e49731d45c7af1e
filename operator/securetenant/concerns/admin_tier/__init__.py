"""ClusterNetworkPolicies, where the API server serves the kind."""
