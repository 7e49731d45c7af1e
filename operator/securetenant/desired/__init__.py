"""What a tenant becomes: pure functions from the spec to manifests, one file per concern.

May import: ``api``. Never: looks at the cluster, reads a clock, or imports a sibling room.
Builders know nothing of each other (:mod:`unit` puts them together). They write every field
that they own, empty lists too: a forced apply keeps what another manager added to a list
that we did not write.
"""
