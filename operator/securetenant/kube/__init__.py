"""The adapter to the API server: credentials, requests, informers.

May import: ``reconcile`` (for its ports and errors), ``plan``, ``api``, aiohttp and the
configuration half of the kubernetes package. Never: decides anything about tenants.
"""
