"""A second opinion on what the walls do, computed from the objects themselves.

May import: ``api``. Never: knows how ``desired`` builds, touches the cluster, or reads a
clock. Whatever wrote an object, only what Kubernetes makes of it counts here.
"""
