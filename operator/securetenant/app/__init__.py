"""The composition root: puts the rooms together and runs them.

May import: every room but ``cli`` and ``sandbox``. The only room that knows kopf. Never:
holds a decision about tenants.
"""
