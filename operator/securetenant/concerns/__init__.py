"""The controls that have watches and work of their own, one package each.

Each is a :class:`~securetenant.reconcile.concern.Concern`, and stands in the list of
:mod:`securetenant.concerns.listed`. May import: ``reconcile`` and what is below it. Never: another
concern. Their pure halves are in ``desired``, ``plan`` and ``status``.
"""
