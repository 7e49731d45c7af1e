"""A second opinion: what the walls do, and what the rules refuse, said once more.

Pure, imports ``api`` alone. Never: knows how ``desired`` builds or how the policies' CEL reads,
touches the cluster, or reads a clock. Whatever wrote an object, only what Kubernetes makes of it
counts here; the tests hold the API server's answers to these predicates.
"""
