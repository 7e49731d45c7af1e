"""The admission policies: whether those in the cluster are the ones that belong to this version.

Digests of the pack are in ``pack.sums``. A policy that is missing, weakened or extended is named:
the operator does not write policies, and has no right to.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Any

from securetenant.api import kinds
from securetenant.api.objects import Body, Ref

_DEFAULTS: Mapping[str, Any] = {
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "scope": "*",
}
"""What the API server fills in where nothing is written (admissionregistration/v1)."""

WITHOUT_MUTATION = (
    "this cluster knows no mutating policies (they came with Kubernetes 1.36), so pods are refused"
    " where they would be repaired"
)
_MUTATING = (kinds.MUTATING_POLICY.name, kinds.MUTATING_BINDING.name)
_KINDS = frozenset({*_MUTATING, kinds.VALIDATING_POLICY.name, kinds.VALIDATING_BINDING.name})
_LINE = re.compile(r"(?P<digest>[0-9a-f]{32})  (?P<kind>\w+) (?P<name>[a-z0-9.-]+)\n")


class Level(Enum):
    """How the priority level of tenants is. Its numbers are the platform team's to choose."""

    MISSING = auto()
    UNLIMITED = auto()
    """Tenants wait for nobody."""
    REFUSING = auto()
    """Nothing queues: what is too much is refused, no matter who sent it."""
    QUEUEING = auto()


def level(body: Body) -> Level:
    """Reduce a PriorityLevelConfiguration."""
    limited = body["spec"].get("limited")
    if body["spec"].get("type") != "Limited" or not limited:
        return Level.UNLIMITED
    queues = (limited.get("limitResponse") or {}).get("type") == "Queue"
    return Level.QUEUEING if queues else Level.REFUSING


def digest(body: Body) -> str:
    """Return the digest of a policy's or binding's spec, defaults left out."""
    text = json.dumps(_without_defaults(body["spec"]), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def write(bodies: Iterable[Body]) -> str:
    """Return the digests of the policies and bindings among these objects, one line for each."""
    rows = sorted(
        (body["kind"], body["metadata"]["name"], digest(body))
        for body in bodies
        if body["kind"] in _KINDS
    )
    return "".join(f"{text}  {kind} {name}\n" for kind, name, text in rows)


def read(text: str) -> dict[Ref, str]:
    """Return what :func:`write` wrote. Raises ValueError if the text is anything else.

    A line that is lost is a policy that nobody would miss.
    """
    found: dict[Ref, str] = {}
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        match = _LINE.fullmatch(line)
        if not match or match["kind"] not in _KINDS:
            raise ValueError(f"line {number} is not a digest, a kind and a name")
        found[Ref(match["kind"], "", match["name"])] = match["digest"]
    if missing := _KINDS - {ref.kind for ref in found}:
        raise ValueError(f"no line has the kind {', '.join(sorted(missing))}")
    return found


_SHOWN = 3
"""How many policies a message names."""


def problem(seen: Mapping[Ref, str], expected: Mapping[Ref, str], *, mutates: bool) -> str:
    """Say which policies are not in force as installed, with the remedy; nothing if all are.

    ``mutates`` says whether the API server knows mutating policies.
    """
    wrong, changed, folders = [], 0, set()
    for ref, shipped in expected.items():
        mutating = ref.kind in _MUTATING
        if mutating and not mutates:
            continue
        found = seen.get(ref)
        if found != shipped:
            wrong.append(f"{ref} {'is missing' if found is None else 'was changed'}")
            changed += found is not None
            folders.add("manifests/policies" + ("/mutating" if mutating else ""))
    if not wrong:
        return ""
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    remedy = " and ".join(f"kubectl apply -k {each}" for each in sorted(folders))
    told = f"Install the policies: {remedy}"
    if changed > _SHOWN:
        # The command would take an upgrade back: nobody changes so many by hand.
        told = f"If you install another version, start its operator. If not, i{told[1:]}"
    return f"{', '.join(wrong[:_SHOWN])}{more}. {told}"


def _without_defaults(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _without_defaults(each)
            for key, each in value.items()
            if not (key in _DEFAULTS and each == _DEFAULTS[key])
        }
    if isinstance(value, list):
        return [_without_defaults(each) for each in value]
    return value
