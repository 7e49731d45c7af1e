"""The one factory of SecureTenants: valid by default, changed by the test that needs it."""

import itertools
from typing import Any

_numbers = itertools.count(1)


def tenant(name: str | None = None, **spec: Any) -> dict[str, Any]:
    """Return a SecureTenant; ``spec`` replaces whole fields, and None removes one.

    Without a name each call gives another tenant with namespaces of its own, so that tests
    share no objects.
    """
    name = name or f"tenant-{next(_numbers)}"
    fields: dict[str, Any] = {"namespaces": [{"name": f"{name}-a"}, {"name": f"{name}-b"}]}
    fields.update(spec)
    return {
        "apiVersion": "securetenant.io/v1alpha1",
        "kind": "SecureTenant",
        "metadata": {"name": name},
        "spec": {key: value for key, value in fields.items() if value is not None},
    }
