"""The packet probe, which runs on every node: sends what is allowed, and what is refused.

Two programs, in pods of two namespaces that are no tenant's (``manifests/packets``): one answers,
the other one tries. They have no token and ask nobody; what came of it is whether the one
that tries is ready, and with which words it ended. The kubelet of its node says both, in the status
of the pod. May import: the constants of ``api.probe``, and the standard library. Never: speaks to
the API server.
"""
