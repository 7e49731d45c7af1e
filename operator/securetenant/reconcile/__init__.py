"""The one story: observe, desire, plan, apply, say how it went.

May import: ``status``, ``desired``, ``plan``, ``api``. Never: knows kopf or HTTP; the
cluster is a :class:`~securetenant.reconcile.ports.Cluster`. Everything is level-triggered:
what to do follows from the spec and what is there, never from an event's content.
"""
