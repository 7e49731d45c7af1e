"""What to do: desired against observed, as ordered actions with reasons.

May import: ``api``. Never: builds manifests, touches the cluster, or imports a sibling room.
"""
