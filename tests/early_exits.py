"""Every way past a rule of a policy, read from the policies themselves, and why it is safe.

A way past is a matchCondition, and each part of a rule in front of a top-level ``||``. A new one
needs a reason here: who can bring it about, and why that opens nothing.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import documents
from harness import ROOT


class Exit(NamedTuple):
    """A way past a rule."""

    policy: str
    """Without the prefix that all share."""
    where: str
    """``if <name>`` for a matchCondition, ``rule <number>`` for a part of a rule."""
    expression: str


class Reason(NamedTuple):
    """Why it is safe."""

    who: str
    why: str


_CLUSTER = "the cluster's own identities"
_ANYBODY = "anybody"
_CHANGES = Reason(_ANYBODY, "what is judged did not change; being deleted is no way past")
_NEITHER = "needs the verb override and one of these identities; tenants hold neither"
_GLASS = Reason("break-glass", _NEITHER)
_OPERATOR = Reason("break-glass, the operator", _NEITHER)
_CONTROLLERS = Reason("break-glass, the operator, controllers that finish a deletion", _NEITHER)
_ONE_IDENTITY = Reason("everybody else", "the policy is about this one identity")
_NEEDS_NOTHING = Reason(
    _ANYBODY, "lists what every rule looks at; tests hold it and the rules together"
)

CONDITIONS: dict[tuple[str, str], Reason] = {
    ("access", "changes-something"): _CHANGES,
    ("access", "not-exempt"): _CONTROLLERS,
    ("access", "not-allowed-more-anyway"): Reason(
        "anyone who can create ClusterRoleBindings", "can give the same away cluster-wide"
    ),
    ("annotations", "changes-something"): _CHANGES,
    ("annotations", "not-a-controller"): Reason(
        "controllers in kube-* and openshift-* that copy nothing from templates, nodes, the"
        " operator",
        "no tenant chooses what they write; the fence holds the operator to one annotation",
    ),
    ("annotations", "not-allowed-more-anyway"): Reason(
        "anyone who can create ClusterRoleBindings", "can give every right away cluster-wide"
    ),
    ("token-requests", "not-by-a-kubelet"): Reason(
        "nodes", "a node gets tokens of pods on it; what a pod asks for is judged with the pod"
    ),
    ("canary", "the-canary"): _ONE_IDENTITY,
    ("cluster-roles", "gives-rights-to-members"): Reason(
        _ANYBODY, "members hold nothing of it: it carries none of our labels, and no role of theirs"
    ),
    ("cluster-roles", "changes-something"): _CHANGES,
    ("crds", "securetenant-kinds"): Reason(_ANYBODY, "the CRD is of another group"),
    ("crds", "deletes-or-not-breaking-the-glass"): _GLASS,
    ("settings", "not-breaking-the-glass"): _GLASS,
    ("parameters", "is-read"): Reason(_ANYBODY, "policies read the name effective only"),
    ("finalizers", "concerns-deletion"): Reason(
        _ANYBODY, "no finalizer is new and no budget changed; taking one off is always possible"
    ),
    ("finalizers", "not-a-controller"): Reason(
        "controllers in kube-system that copy nothing from templates, the API server",
        "no tenant chooses what they set, and they take theirs off again",
    ),
    ("lockdown", "not-keeping-alive"): Reason(
        _CLUSTER, "what runs goes on running; a Job that a CronJob would start is new and is judged"
    ),
    ("lockdown", "not-draining"): Reason(
        "anyone who may patch nodes", "a node that is drained is drained of everybody's pods"
    ),
    ("lockdown", "not-exempt-while-frozen"): _CONTROLLERS,
    ("quarantine", "not-breaking-the-glass"): _GLASS,
    ("ingress", "changes-something"): _CHANGES,
    ("routes", "changes-something"): _CHANGES,
    ("managed", "touches-managed"): Reason(
        _ANYBODY, "neither name nor label is the operator's, before or after"
    ),
    ("managed", "changes-something"): Reason(
        _ANYBODY, "an update that changes nothing passes, for storage version migration"
    ),
    ("managed", "not-exempt"): _CONTROLLERS,
    ("managed", "not-counting"): Reason(_CLUSTER, "the status of a quota is theirs to count"),
    ("mirror-pods", "by-a-node"): _ONE_IDENTITY,
    ("namespaces", "concerns-tenants"): Reason(
        _ANYBODY, "no label is the operator's, before or after"
    ),
    ("namespaces", "not-exempt"): _CONTROLLERS,
    ("network", "changes-something"): _CHANGES,
    ("network", "not-the-operator-nor-breaking-the-glass"): _OPERATOR,
    ("nodes", "concerns-tenants"): Reason(
        _ANYBODY, "no label and no taint is the operator's, before or after"
    ),
    ("nodes", "not-the-operator-nor-breaking-the-glass"): _OPERATOR,
    ("bytes", "may-be-too-large"): Reason(
        _ANYBODY, "a character takes six bytes at most, and the smallest bound is 200,000 bytes"
    ),
    ("operator-bounds", "the-operator"): _ONE_IDENTITY,
    ("operator-bounds", "has-a-bound"): Reason(
        "the operator", "lists what no rule refuses; tests hold it and the rules together"
    ),
    ("operator-fence", "the-operator"): _ONE_IDENTITY,
    ("operator-fence", "has-no-fence-of-its-own"): Reason(
        "the operator", "these kinds are judged by a policy of their own, named in the list"
    ),
    ("operator-fence-accounts", "names-accounts"): Reason(
        "the operator",
        "the one rule is about ServiceAccounts of other namespaces, and about the canary's binding",
    ),
    **{
        (f"operator-fence-{part}", "the-operator"): _ONE_IDENTITY
        for part in ("accounts", "flows", "namespaces", "nodes", "reports", "tiers", "walls")
    },
    ("owners", "names-such-an-owner"): Reason(
        _ANYBODY,
        "no owner is new or changed, or a new object of a built-in kind has owners of such kinds",
    ),
    ("owners", "not-the-operator-nor-breaking-the-glass"): _OPERATOR,
    ("owners-uid", "names-such-an-owner"): Reason(
        _ANYBODY, "no such owner is new; one that was there can stop blocking"
    ),
    ("owners-uid", "not-the-operator-nor-breaking-the-glass"): _OPERATOR,
    ("pods", "asks-for-something"): _NEEDS_NOTHING,
    ("pods-hardening", "sets-something"): _NEEDS_NOTHING,
    ("pods-shared", "sets-something"): _NEEDS_NOTHING,
    ("services", "changes-something"): _CHANGES,
    ("endpoints", "not-a-controller"): Reason(_CLUSTER, "they write endpoints from selectors"),
    ("endpoints", "changes-something"): _CHANGES,
    ("snapshots", "names-content"): Reason(_ANYBODY, "no content is named, or nothing changed"),
    ("snapshots", "not-breaking-the-glass"): _GLASS,
    ("terminating", "changes-something"): _CHANGES,
    ("terminating", "not-a-controller"): Reason(_CLUSTER, "they release volumes and addresses"),
    ("terminating", "not-the-operator-nor-breaking-the-glass"): _OPERATOR,
    **{
        ("token-hints", condition): Reason(_ANYBODY, "the policy only warns")
        for condition in ("names-an-account", "by-somebody", "is-new")
    },
    ("tokens", "concerns-tokens"): Reason(_ANYBODY, "no token comes of it"),
    ("volumes", "changes-something"): _CHANGES,
    ("volumes", "not-binding"): Reason(
        _CLUSTER, "they bind claims to volumes; only updates, never the claim as it is made"
    ),
    ("volumes", "not-breaking-the-glass"): _GLASS,
    # The mutating half sets what is left out: a way past it changes nothing that is refused.
    ("debug-defaults", "pulls-always"): Reason(_ANYBODY, "TenantPolicy asks for no pull policy"),
    ("pod-defaults", "leaves-something-out"): Reason(_ANYBODY, "the validating half judges it"),
    ("sizes", "is-too-long"): Reason(_ANYBODY, "it is what the rule allows"),
    ("sizes-amounts", "is-too-large"): Reason(_ANYBODY, "it is what the rule allows"),
    ("sizes-metadata", "has-too-many"): Reason(_ANYBODY, "it is what the rule allows"),
    ("sizes-objects", "lists-too-much"): Reason(_ANYBODY, "it is what the rule allows"),
    ("roles", "multiplies"): Reason(_ANYBODY, "it is what the rule allows"),
    ("pull-policy", "pulls-always"): Reason(_ANYBODY, "TenantPolicy asks for no pull policy"),
    ("pod-placement", "is-placed"): Reason(_ANYBODY, "TenantPolicy asks for no selector"),
    ("pod-placement", "is-new"): Reason(_ANYBODY, "the validating half judges each pod"),
    ("pod-placement", "leaves-something-out"): Reason(_ANYBODY, "the validating half judges it"),
    ("service-accounts", "says-nothing"): Reason(_ANYBODY, "the validating half judges pods"),
}

_ELSEWHERE = Reason(_ANYBODY, "the rule is about another kind, operation or binding")
PARTS: tuple[tuple[str, Reason], ...] = (
    (r"!variables\.isNew$", Reason(_ANYBODY, "nobody can change the field once the object exists")),
    (
        (
            r"request\.(operation|resource\.resource) [!=]= '\w+'$|(old)?[oO]bject == null$"
            r"|!variables\.(writes|isBinding)$|variables\.what != '[\w./]*'$"
        ),
        _ELSEWHERE,
    ),
    (
        r"params\.spec\.[\w.]+ != '\w+'$|!variables\.isRestricted$",
        Reason("the platform team", "the SecureTenant does not ask for it, or has an exception"),
    ),
    (
        (
            r"variables\.(type in params|(loadBalancerIP|priorityClass|runtimeClass) == ''"
            r"|legacy\.orValue)|object\.spec\.\?\w+\.orValue\(''\) == ''$"
            r"|object\.spec\.\?selector\.orValue|object\.roleRef\.kind == 'Role'$"
            r"|variables\.(added|touched)\.size\(\) == 0$|variables\.refused\.size\(\) == 0$"
            r"|!variables\.tooMany$|!variables\.inUserNamespace$"
            r"|variables\.references\.size\(\) <= 64$|variables\.bytes <= variables\.most$"
            r"|object\.spec\.\?(replicas|ports)\.orValue\(\S+\)\S* <= \d+$"
        ),
        Reason(_ANYBODY, "it is what the rule allows"),
    ),
    (
        r"request\.userInfo\.username == 'system:kube-controller-manager'$",
        Reason(_CLUSTER, "they copy no owners from templates; the garbage collector removes some"),
    ),
    (
        r"has\(variables\.pod\.automount|variables\.pod\.\?volumes",
        Reason(_ANYBODY, "the policy only warns"),
    ),
    (
        r"variables\.registers$",
        Reason(
            "who may register nodes (securetenant.io)",
            "a node of no tenant gets label and taint of one, once, while its taint keeps every"
            " pod away; the operator looks then whose it is",
        ),
    ),
    (
        r"variables\.isPlatform$",
        Reason("administrators of the cluster", "they may write every policy too"),
    ),
    (
        r"\(!variables\.isNew && variables\.type == oldObject",
        Reason(_ANYBODY, "it was of that type before"),
    ),
    (
        r"variables\.tooLong\.size\(\) == 0$",
        Reason(_ANYBODY, "short lists are looked at by every other rule"),
    ),
    (
        r"variables\.type == 'ExternalName'$",
        Reason(_ANYBODY, "that type is judged by the rule about types"),
    ),
    (
        r"!variables\.isTenants$",
        Reason(_ANYBODY, "the namespace belongs to no tenant"),
    ),
    (
        r"dyn\(object\)\.roleRef\.name == 'securetenant:canary'$",
        Reason("the operator", "the fence lets it bind that role to the canary only"),
    ),
    (
        r"dyn\(object\)\.(roleRef\.kind == 'Role'|\?subjects\.orValue\(\[\]\)\.size\(\) == 0)$",
        Reason(
            "the operator",
            "what names nobody gives nothing, and the fence refuses it Roles but to bring back"
            " what was put aside",
        ),
    ),
    (
        r"variables\.isPutAside$",
        Reason(
            "the operator",
            "nothing else of the object changes, and what comes back is what was put aside",
        ),
    ),
    (
        r"variables\.before\.exists\(k, k\.startsWith\('securetenant\.io/'\)\)$",
        Reason("the operator", "somebody who may marked the namespace before"),
    ),
    (
        (
            r"variables\.what(\.startsWith| in )|request\.operation == 'DELETE' \? "
            r"|variables\.after\[\?"
        ),
        Reason("the operator", "one of its own names; the parts together are what it may touch"),
    ),
)
"""Patterns of parts that mean the same wherever they stand."""


def found() -> Iterator[Exit]:
    """Yield every way past a rule that the policies hold."""
    for body in documents.within(ROOT / "manifests" / "policies"):
        if body["kind"].endswith("AdmissionPolicy"):
            yield from _of(body["metadata"]["name"].removeprefix("securetenant-"), body["spec"])


def _of(policy: str, spec: dict[str, Any]) -> Iterator[Exit]:
    for condition in spec.get("matchConditions", ()):
        yield Exit(policy, f"if {condition['name']}", _folded(condition["expression"]))
    for index, rule in enumerate(spec.get("validations", ())):
        *parts, _ = _split(_folded(rule["expression"]))
        for part in parts:
            yield Exit(policy, f"rule {index}", part)


def reason(each: Exit) -> Reason | None:
    """Return why it is safe, where a reason is written."""
    if each.where.startswith("if "):
        return CONDITIONS.get((each.policy, each.where.removeprefix("if ")))
    for pattern, why in PARTS:
        if re.match(pattern, each.expression):
            return why
    return None


def table() -> str:
    """Return the table as the page holds it."""
    lines = [
        "| Policy | Way past | Who can bring it about | Why that is safe |",
        "|---|---|---|---|",
    ]
    for each in found():
        why = reason(each)
        if why is None:
            continue
        past = each.where
        if not past.startswith("if "):
            past = f"{past}: `{_short(each.expression)}`"
        lines.append(f"| `{each.policy}` | {past} | {why.who} | {why.why} |")
    return "\n".join(lines) + "\n"


def _short(expression: str, most: int = 60) -> str:
    text = expression if len(expression) <= most else f"{expression[: most - 3]}..."
    return text.replace("|", "\\|")


def _folded(expression: str) -> str:
    return re.sub(r"\s+", " ", expression).strip()


def _split(expression: str) -> list[str]:
    """Split at every ``||`` that is in no brackets and no string."""
    parts, depth, quote, start = [], 0, "", 0
    for index, char in enumerate(expression):
        if quote:
            quote = "" if char == quote and expression[index - 1] != "\\" else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif depth == 0 and expression.startswith("||", index):
            parts.append(expression[start:index].strip())
            start = index + 2
    return [*parts, expression[start:].strip()]
