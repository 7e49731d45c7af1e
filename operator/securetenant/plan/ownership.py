"""Which part of an object is the operator's, and its digest.

Walls are owned WHOLE: all labels, all of spec, roleRef and subjects. Of a Namespace only our
keys are the operator's, so it is compared by its labels (:mod:`drift`) and has no digest.
"""

import functools
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from securetenant.api import kinds, names, quantities, status
from securetenant.api.metadata import ANNOTATION_LENGTH
from securetenant.api.objects import Body, Ref

_DIGEST_BYTES = 16
_REMAINING = 400
"""Characters: the names of finalizers are anybody's to choose."""
ASIDE = "set-aside"
"""Under this key :func:`owned` returns the annotation by which a RoleBinding is brought back."""
_NOT_OURS = frozenset({"apiVersion", "kind", "metadata", "status"})


class NamespaceFacts(NamedTuple):
    """What is remembered of a namespace."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    """Those that are short enough to be the operator's or a spec's."""
    terminating: bool
    deleted_at: str = ""
    """When its deletion was asked for."""
    remaining: str = ""
    """What its deletion waits for, as the namespace controller says it; a few lines at most."""


class QuotaFacts(NamedTuple):
    """What is remembered of a ResourceQuota, for the ledger."""

    hard: Mapping[str, str]
    enforced: Mapping[str, str]
    """``status.hard``: what admission counts by."""


class Transition(NamedTuple):
    """When a condition took its status."""

    type: str
    status: str
    time: str


class Proof(NamedTuple):
    """What was said of the isolation of one namespace."""

    generation: int
    """Of the TenantPolicy that it is about."""
    status: str
    reason: str
    message: str
    verified_at: str
    tried: int
    refused: int
    admitted: int


class PolicyFacts(NamedTuple):
    """What is remembered of a TenantPolicy."""

    tenant: str
    tenant_uid: str
    generation: int
    status: bytes
    """Digest of its status, so that the same one is not written twice."""
    transitions: tuple[Transition, ...]
    lockdown: str = "None"
    hostnames: tuple[str, ...] = ()
    """Ends of host names that are in force there."""
    proof: Proof | None = None
    """What its status says of the isolation."""


class FlowFacts(NamedTuple):
    """What is remembered of a FlowSchema."""

    namespaces: frozenset[str]
    """Those whose ServiceAccounts are in the flow: by them a tenant is found again in it."""


Facts = NamespaceFacts | QuotaFacts | PolicyFacts | FlowFacts


class Observed(NamedTuple):
    """What is remembered of an object: a tuple, since there may be a hundred thousand."""

    version: int
    """The resourceVersion; comparable since Kubernetes 1.35 (KEP-5504) and, for what etcd
    stores, always."""
    uid: str
    digest: bytes
    """Of what we own; empty for a namespace."""
    facts: Facts | None = None

    def same_content(self, other: "Observed | None") -> bool:
        """Tell whether nothing that we look at differs."""
        return other is not None and self[1:] == other[1:]


def observe(body: Body) -> Observed:
    """Reduce an object, as the API server returned it, to what is remembered."""
    metadata = body["metadata"]
    facts: Facts | None = None
    content = b""
    match body["kind"]:
        case kinds.NAMESPACE.name:
            facts = NamespaceFacts(
                _interned(metadata.get("labels")),
                _interned(metadata.get("annotations"), longest=ANNOTATION_LENGTH),
                "deletionTimestamp" in metadata,
                metadata.get("deletionTimestamp", ""),
                _remaining(body) if "deletionTimestamp" in metadata else "",
            )
        case kinds.RESOURCE_QUOTA.name:
            content = digest(body)
            facts = QuotaFacts(
                quantities.shared(_interned(body["spec"].get("hard"))),
                quantities.shared(_interned(body.get("status", {}).get("hard"))),
            )
        case kinds.TENANT_POLICY.name:
            content = digest(body)
            facts = _policy_facts(body)
        case kinds.FLOW_SCHEMA.name:
            content = digest(body)
            facts = FlowFacts(frozenset(_namespaces_of(body)))
        case _:
            content = digest(body)
    return Observed(int(metadata["resourceVersion"]), metadata["uid"], content, facts)


def _remaining(namespace: Body) -> str:
    """Return why a namespace that is being deleted is still there."""
    told = [
        each.get("message", "").rstrip()
        for each in namespace.get("status", {}).get("conditions") or ()
        if each.get("status") == "True"
    ]
    own = namespace["metadata"].get("finalizers")
    if own:
        told.append(f"the Namespace itself has the finalizers {', '.join(own)}")
    return "; ".join(told)[:_REMAINING]


def _policy_facts(body: Body) -> PolicyFacts:
    spec, document = body.get("spec", {}), body.get("status", {})
    return PolicyFacts(
        sys.intern(spec.get("tenant", "")),
        sys.intern(spec.get("tenantUID", "")),
        body["metadata"].get("generation", 0),
        status_digest(document),
        tuple(
            _transition(each["type"], each["status"], each["lastTransitionTime"])
            for each in document.get("conditions", ())
        ),
        sys.intern(spec.get("lockdown", "None")),
        _shared(tuple(map(sys.intern, spec.get("workloads", {}).get("hostnames", ())))),
        _proof(document),
    )


def _proof(document: Body) -> Proof | None:
    counts = document.get("isolation")
    for each in document.get("conditions") or ():
        if counts and each["type"] == status.ISOLATION_VERIFIED:
            return Proof(
                each["observedGeneration"],
                sys.intern(each["status"]),
                sys.intern(each["reason"]),
                sys.intern(each["message"]),
                sys.intern(counts["verifiedAt"]),
                counts["tried"],
                counts["refused"],
                counts["admitted"],
            )
    return None


@functools.lru_cache(maxsize=4096)
def _transition(condition: str, state: str, time: str) -> Transition:
    """Return the same one each time: what is made together has conditions of the same moment."""
    return Transition(sys.intern(condition), sys.intern(state), sys.intern(time))


@functools.lru_cache(maxsize=4096)
def _shared(ends: tuple[str, ...]) -> tuple[str, ...]:
    """Return the same tuple each time: the namespaces of a tenant have the same host names."""
    return ends


def _namespaces_of(flow: Body) -> Iterator[str]:
    for rule in flow["spec"].get("rules") or ():
        for subject in rule.get("subjects") or ():
            name = (subject.get("group") or {}).get("name", "")
            if name.startswith(names.ACCOUNTS_OF):
                yield sys.intern(name.removeprefix(names.ACCOUNTS_OF))


def _interned(values: Mapping[str, Any] | None, longest: int = 1 << 20) -> dict[str, str]:
    """Return a sorted copy with shared strings: the same few are in every namespace."""
    return {
        sys.intern(key): sys.intern(str(value))
        for key, value in sorted((values or {}).items())
        if len(str(value)) <= longest
    }


def status_digest(document: Body) -> bytes:
    """Return the digest of a status document."""
    return _hash(document)


def ref_of(body: Body) -> Ref:
    """Return which object this is."""
    metadata = body["metadata"]
    # The same few names in each namespace, and its own in all that is in it.
    place, name = metadata.get("namespace", ""), metadata["name"]
    return Ref(body["kind"], sys.intern(place), sys.intern(name))


def owned(body: Body) -> dict[str, Any]:
    """Return the part of a wall that we own, with absent and empty made equal.

    Of annotations only one counts: who was named by a RoleBinding that is put aside.

    Only direct children of ``spec`` may be absent for empty: further down the difference
    matters (``from: [{podSelector: {}}]`` is one namespace, ``from: [{}]`` is invalid and
    ``ingress: [{}]`` is everybody).
    """
    result: dict[str, Any] = {"labels": body["metadata"].get("labels") or {}}
    for key, value in body.items():
        if key in _NOT_OURS:
            continue
        if key == "spec":
            result[key] = {name: each for name, each in value.items() if not _is_empty(each)}
        elif not _is_empty(value):
            result[key] = value
    told = body["metadata"].get("annotations") or {}
    if body.get("kind") == kinds.ROLE_BINDING.name and names.ASIDE in told:
        # Whom a quarantine would bring back.
        result[ASIDE] = told[names.ASIDE]
    return result


def digest(body: Body) -> bytes:
    """Return the digest of what we own; equal digests mean nothing to do."""
    return _hash(owned(body))


def _hash(value: Body) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


def is_our_key(key: str) -> bool:
    """Tell whether a label of a tenant's namespace is the operator's, no matter who wrote it."""
    prefix = key.rpartition("/")[0]
    return (
        prefix in (names.GROUP, names.POD_SECURITY_PREFIX.rstrip("/"))
        or key == names.MANAGED_BY_LABEL
    )


def _is_empty(value: Any) -> bool:
    return value is None or value in ([], {})
