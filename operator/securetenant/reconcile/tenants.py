"""The tenants that are known: their specs as last seen, and how their namespaces stand."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from securetenant.api.objects import Body
from securetenant.api.securetenant import NAME_RULE, TenantSpec
from securetenant.desired import scope, unit
from securetenant.desired.scope import Scope
from securetenant.plan import expected
from securetenant.plan.expected import Expected
from securetenant.status.outcome import Outcome


@dataclass(kw_only=True, slots=True)
class Unit:
    """One namespace of a tenant: what it should be and how it stands."""

    scope: Scope
    wanted: Expected
    outcome: Outcome
    attempted: bool = False
    """Whether the outcome is that of work, and not only of a look."""


@dataclass(kw_only=True, slots=True)
class Record:
    """One tenant."""

    body: Body
    """The SecureTenant as last seen."""
    read: Body | None = None
    """The body that was read into units."""
    status: dict[str, Any] = field(default_factory=dict)
    """The status as last seen or written."""
    version: int = 0
    told_at: float = float("-inf")
    """When progress was last worth a status, by the monotonic clock."""
    spec: TenantSpec | None = None
    """The last spec that was good; its walls are kept while a newer one is refused."""
    refusal: str = ""
    units: dict[str, Unit] = field(default_factory=dict)


class Tenants:
    """All tenants, and which of them claim a namespace."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._claims: defaultdict[str, set[str]] = defaultdict(set)

    def see(self, name: str, body: Body) -> bool:
        """Take the SecureTenant as it now is; tell whether it is news.

        Echoes of our own status writes are not: only what people may change counts.
        """
        version = int(body["metadata"]["resourceVersion"])
        record = self._records.get(name)
        if record is None:
            self._records[name] = Record(
                body=body, version=version, status=body.get("status") or {}
            )
            return True
        if version <= record.version:
            return False
        news = (
            body["metadata"].get("generation") != record.body["metadata"].get("generation")
            or body["metadata"].get("uid") != record.body["metadata"].get("uid")
            or (body.get("status") or {}) != record.status
        )
        record.body, record.version = body, version
        record.status = body.get("status") or {}
        return news

    def forget(self, name: str) -> bool:
        """Forget a SecureTenant that is gone; what it made stays as it is."""
        record = self._records.pop(name, None)
        if record is None:
            return False
        for namespace in record.units:
            self._unclaim(namespace, name)
        return True

    def names(self) -> list[str]:
        """Return the names of all tenants."""
        return list(self._records)

    def get(self, name: str) -> Record | None:
        """Return the tenant, or nothing."""
        return self._records.get(name)

    def claimants(self, namespace: str) -> set[str]:
        """Return the tenants whose spec names the namespace."""
        return self._claims.get(namespace, set())

    def read(self, name: str) -> Iterator[str]:
        """Read a spec that is news; yield the namespaces whose expectation changed."""
        record = self._records[name]
        if record.read is record.body:
            return
        record.read = record.body
        try:
            spec = _parse(name, record.body)
        except _RefusedSpecError as error:
            record.refusal = str(error)
            return
        record.spec, record.refusal = spec, ""
        found = {each.namespace.name: each for each in scope.scopes(name, spec)}
        for namespace in record.units.keys() - found.keys():
            del record.units[namespace]
            self._unclaim(namespace, name)
        for namespace, each in found.items():
            known = record.units.get(namespace)
            if known is not None and known.scope == each:
                continue
            wanted = expected.expect(unit.build(each))
            record.units[namespace] = Unit(
                scope=each,
                wanted=wanted,
                outcome=Outcome(namespace=namespace, pending=(wanted.namespace, *wanted.digests)),
            )
            self._claims[namespace].add(name)
            yield namespace

    def _unclaim(self, namespace: str, name: str) -> None:
        self._claims[namespace].discard(name)
        if not self._claims[namespace]:
            del self._claims[namespace]


class _RefusedSpecError(Exception):
    """A stored spec that breaks a rule of this operator."""


def _parse(name: str, body: Body) -> TenantSpec:
    if not NAME_RULE.holds(name):
        raise _RefusedSpecError(f"metadata.name: {NAME_RULE.message}.")
    try:
        return TenantSpec.model_validate(body.get("spec"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in ("spec", *first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = (
                "this operator does not know the field; install the operator that belongs to"
                " the CRD"
            )
        raise _RefusedSpecError(f"{where}: {message}.") from error
