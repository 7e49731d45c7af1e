"""What repeats itself in the policies means the same wherever it stands.

CEL includes nothing from elsewhere, so policies copy. Who has read one copy believes the others.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import documents
from harness import ROOT

POLICIES = ROOT / "manifests" / "policies"
PREFIX = "securetenant-"

HIDDEN = (
    "securetenant: refused; a line break in a value hides why. Write the value in one line and try"
    " again"
)
VARIANTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "each kind keeps what is judged in other fields": {
        "addresses": ("network", "services"),
        "changes-something": (
            "access",
            "annotations",
            "cluster-roles",
            "endpoints",
            "ingress",
            "managed",
            "network",
            "services",
            "terminating",
        ),
        "class": ("ingress", "volumes"),
        "concerns-tenants": ("namespaces", "nodes"),
        "foreign": ("ingress", "pods-hardening"),
        "hosts": ("ingress", "routes"),
        "isProtected": ("operator-fence-namespaces", "operator-fence-walls"),
        "patterns": ("ingress", "routes"),
        "pod": ("pods-hardening", "token-hints"),
        "references": ("owners", "pods"),
        "rules": ("ingress", "network", "operator-bounds", "operator-fence-walls", "routes"),
        "sources": ("pods-hardening", "volumes"),
        "strangers": ("access", "network", "operator-fence-flows"),
        "templates": ("finalizers", "owners"),
        "tenant": ("operator-fence-tiers", "operator-fence-walls"),
        "touched": ("namespaces", "nodes"),
    },
    "each policy looks only at lists of its own, and only at what it could find there": {
        "fresh": ("annotations", "ingress", "owners", "pods-hardening"),
        "leaves-something-out": ("pod-defaults", "pod-placement"),
        "lists": ("pods", "pods-hardening"),
        "pulls-always": ("debug-defaults", "pull-policy"),
        "tooLong": (
            "access",
            "cluster-roles",
            "finalizers",
            "ingress",
            "network",
            "pods",
            "pods-hardening",
        ),
    },
    "an owner is found by its kind, or by its uid": {
        "names-such-an-owner": ("owners", "owners-uid"),
    },
    "the operator is kept within its job, or within what the platform team allows": {
        "isBinding": ("operator-bounds", "operator-fence-walls"),
        "queueing": ("operator-bounds", "operator-fence-flows"),
        "roles": ("operator-bounds", "operator-fence-walls"),
        "subjects": ("operator-bounds", "operator-fence-walls"),
    },
    "other annotations are harmless on other kinds": {
        "harmless": ("annotations", "ingress", "pods"),
        "unlisted": ("annotations", "ingress", "pods", "routes", "services"),
    },
    "paths in annotations of dashboards, or of an Ingress": {
        "escaping": ("annotations", "ingress"),
    },
    "groups of a regular expression, of an API, or of people": {
        "group": ("ingress", "owners"),
        "groups": ("ingress", "operator-bounds"),
    },
    "early_exits.py says of each policy why these are exempt": {
        "not-a-controller": ("annotations", "endpoints", "finalizers", "terminating"),
        "not-allowed-more-anyway": ("access", "annotations"),
    },
    "the command shows where the limit is written": {
        "see": ("annotations", "cluster-roles", "operator-bounds", "operator-fence"),
    },
}
"""Names that mean several things: why, and one policy for each of the texts that they stand for."""


def policies() -> Iterator[Mapping[str, Any]]:
    for body in documents.within(POLICIES):
        if body["kind"].endswith("AdmissionPolicy"):
            yield body


def named() -> dict[str, dict[str, str]]:
    """Return the texts of each name, by policy; a policy's own name is left out of them."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for body in policies():
        spec, policy = body["spec"], body["metadata"]["name"]
        for each in (*spec.get("matchConditions", ()), *spec.get("variables", ())):
            text = re.sub(r"\s+", " ", each["expression"]).strip()
            text = text.replace(f" {policy}'", " THIS'")
            found[each["name"]][policy.removeprefix(PREFIX)] = text
    return found


def test_what_has_one_name_is_the_same_text_or_one_of_the_listed() -> None:
    """Each long list of annotations was copied by hand, and nothing held the copies together."""
    listed = {name: anchors for names in VARIANTS.values() for name, anchors in names.items()}
    found = named()
    assert {name for name, texts in found.items() if len(set(texts.values())) > 1} == listed.keys()
    for name, anchors in listed.items():
        known = {found[name][each] for each in anchors}
        assert len(known) == len(anchors), f"{name}: two of {anchors} became the same"
        others = [policy for policy, text in found[name].items() if text not in known]
        assert others == [], f"{name}: these have a text of their own"


LONG = 8
"""Shorter lists repeat by chance: containers, initContainers, volumes."""
PART_OF = {
    ("annotations", "pods"),
    ("annotations", "routes"),
    ("ingress", "routes"),
    ("routes", "services"),
}
"""Routes need no annotations of controllers of Ingresses: theirs are what all lists begin with.
Half of the keys that pods list whole, since others of their prefix act, describe everywhere."""


def long_lists() -> Iterator[tuple[str, list[str]]]:
    """Yield each list of many words that a policy holds."""
    for body in policies():
        spec = body["spec"]
        for each in (
            *spec.get("matchConditions", ()),
            *spec.get("variables", ()),
            *spec.get("validations", ()),
        ):
            for found in re.findall(r"\[((?:\s*'[^']*',)+\s*'[^']*')\s*\]", each["expression"]):
                words = re.findall(r"'([^']*)'", found)
                if len(words) >= LONG:
                    yield body["metadata"]["name"].removeprefix(PREFIX), words


def test_long_lists_that_share_half_of_their_words_are_the_same() -> None:
    """Annotations of Services and Ingresses, and kinds that are built in: three times in owners."""
    different = {
        tuple(sorted((one, other)))
        for (one, words), (other, others) in combinations(long_lists(), 2)
        if words != others and len(set(words) & set(others)) * 2 >= min(len(words), len(others))
    }
    assert different == PART_OF


def test_what_protects_others_is_repeated_word_for_word() -> None:
    """In Audit mode pods-shared.yaml refuses what pods-hardening.yaml only warns of."""
    rules = {body["metadata"]["name"]: body["spec"].get("validations", ()) for body in policies()}
    shared, hardening = rules[f"{PREFIX}pods-shared"], rules[f"{PREFIX}pods-hardening"]
    assert [each for each in shared if each not in hardening] == []


def test_a_message_that_would_hold_a_line_break_is_replaced_by_words() -> None:
    """Without ``message`` the API server shows the expression (ValidatingAdmissionPolicy)."""
    found = {
        each.get("message")
        for body in policies()
        for each in body["spec"].get("validations", ())
        if "messageExpression" in each
    }
    assert found == {HIDDEN}


def test_lines_can_be_read_without_scrolling() -> None:
    """A regular expression has no place to break it."""
    long = [
        f"{file.name}:{number}"
        for file in POLICIES.rglob("*.yaml")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if len(line) > 118 and " " in line.strip()
    ]
    assert long == []


def test_each_policy_begins_with_what_it_does_and_which_attacks_it_answers() -> None:
    """The page on the guards says that one can read it there."""
    unexplained = []
    for file in sorted(POLICIES.rglob("*.yaml")):
        for text in re.split(r"^---\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
            (body,) = documents.read(text)
            if not body["kind"].endswith("AdmissionPolicy"):
                continue
            head = text[: text.index("apiVersion:")]
            refuses = head.startswith(("# Refuses", "# Warns")) and "\n# Answers: " in head
            sets = head.startswith("# Sets") and body["kind"] == "MutatingAdmissionPolicy"
            if not refuses and not sets:
                unexplained.append(body["metadata"]["name"])
    assert unexplained == []


def test_what_is_not_counted_byte_by_byte_is_below_every_bound() -> None:
    """A character of an object takes at most six bytes, as JSON."""
    (body,) = (each for each in policies() if each["metadata"]["name"] == f"{PREFIX}bytes")
    (condition,) = body["spec"]["matchConditions"]
    (most,) = (each for each in body["spec"]["variables"] if each["name"] == "most")
    (counted,) = re.findall(r"size\(\) > (\d+)$", condition["expression"])
    assert 6 * int(counted) < min(map(int, re.findall(r"\d+", most["expression"])))


def test_no_policy_with_a_parameter_looks_at_what_the_manifests_hold() -> None:
    """One that was made a moment ago refuses what it looks at until it knows its parameter."""
    held = {
        f"{body['kind'].lower().removesuffix('y')}{'ies' if body['kind'].endswith('y') else 's'}"
        for body in documents.within(ROOT / "manifests")
        if not body["apiVersion"].startswith("kustomize.")
    }
    assert {"networkpolicies", "deployments", "clusterroles"} <= held
    tenants = [{"key": "securetenant.io/tenant", "operator": "Exists"}]
    for body in policies():
        constraints = body["spec"]["matchConstraints"]
        everywhere = constraints.get("namespaceSelector") != {"matchExpressions": tenants}
        if "paramKind" in body["spec"] and everywhere:
            matched = {each for rule in constraints["resourceRules"] for each in rule["resources"]}
            assert not matched & {*held, "*", "*/*"}, body["metadata"]["name"]


AFTER_POLICIES = ("FlowSchema", "PriorityLevelConfiguration", "NetworkPolicy", "TenancySettings")
"""The kinds of this repository that ``kubectl apply -k`` makes after the policies."""


def test_nothing_that_is_installed_after_the_policies_needs_a_parameter() -> None:
    """A policy refuses everything that it looks at until the kind of its parameter is found.

    Policies about namespaces with a tenant are left out: none of our objects is in one.
    """
    manifests = documents.within(ROOT / "manifests")
    later = [each for each in manifests if each["kind"] in AFTER_POLICIES]
    assert {each["kind"] for each in later} == set(AFTER_POLICIES)
    refused = [
        f"{policy['metadata']['name']} {body['kind']} {body['metadata']['name']}"
        for policy in documents.within(POLICIES)
        if policy["kind"].endswith("AdmissionPolicy") and "paramKind" in policy["spec"]
        for body in later
        if looks_at(policy["spec"]["matchConstraints"], body)
    ]
    assert refused == []


def looks_at(constraints: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Tell whether an object of this repository is judged by a policy with these constraints."""
    selector = constraints.get("namespaceSelector", {})
    of_tenants = any(
        (each["key"], each["operator"]) == ("securetenant.io/tenant", "Exists")
        for each in selector.get("matchExpressions", [])
    )
    in_a_namespace = "namespace" in body["metadata"]
    if of_tenants and in_a_namespace:
        return False

    def named(rules: list[Any]) -> bool:
        return any(
            {body["apiVersion"].rpartition("/")[0], "*"} & set(rule["apiGroups"])
            and {plural(body["kind"]), "*", "*/*"} & set(rule["resources"])
            and (in_a_namespace or rule["scope"] != "Namespaced")
            and body["metadata"]["name"] in rule.get("resourceNames", [body["metadata"]["name"]])
            for rule in rules
        )

    return named(constraints["resourceRules"]) and not named(
        constraints.get("excludeResourceRules", [])
    )


def plural(kind: str) -> str:
    """Return the resource of a kind that ends without an s."""
    return f"{kind.lower().removesuffix('y')}{'ies' if kind.endswith('y') else 's'}".replace(
        "tenancysettingss", "tenancysettings"
    )
