"""The pool of a tenant's quota: has shares decided again when use or a refusal asks for it.

May import: ``reconcile`` and what is below it. Never: another concern. The decision itself is pure
(:mod:`securetenant.plan.pool`), and the tenant's reading makes it, as it makes every share.
"""
