"""How an attack is judged: refused by the control that is there for it, and by no other.

Measurement rules: an ordinary pod (P0) must be admitted, else a refusal proves nothing; a
mutant differs from it in one thing; who refused is read from the API server's words.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import yaml

import documents
from harness import MERGE, ROOT, Answer, Api


class Control(Enum):
    """Who can refuse, and how its refusal reads."""

    RBAC = r"cannot [\w:-]+ resource"
    ESCALATION = r"is attempting to grant RBAC permissions not currently held"
    PSA_BASELINE = r'violates PodSecurity "(baseline|restricted):'
    PSA_RESTRICTED = r'violates PodSecurity "restricted:'
    QUOTA = r"exceeded quota: |must specify "
    LIMITS = r"(minimum|maximum) [a-z-]+ usage per Container"
    NODE = r"is not allowed to|can only|not allowed to modify|cannot update labels"
    CRD = r"is invalid: |strict decoding error"


@dataclass(frozen=True)
class Policy:
    """Refused by one of our admission policies."""

    name: str
    also: tuple[str, ...] = ()
    """Others that refuse the same; the API server tells of one of them."""

    @property
    def value(self) -> str:
        """Return how its refusal reads."""
        names = "|".join(map(re.escape, (self.name, *self.also)))
        # A copy that an upgrade left beside it, as one of the tests does, is the same control.
        return rf"ValidatingAdmissionPolicy '(old-)?({names})' with binding"


MANAGED = Policy("securetenant-managed", also=("securetenant-parameters",))
"""A TenantPolicy is managed, and nobody at all deletes it."""
MIRRORS = Policy("securetenant-mirror-pods", also=("securetenant-pods",))
"""A mirror pod names its node, which nobody does in a tenant's namespace."""


@dataclass(frozen=True, kw_only=True)
class Denial:
    """A request, and who sends it."""

    who: str = "admin"
    """admin, north or strict (a tenant's admin), node, canary or operator."""
    method: str = "PATCH"
    path: str
    body: Any = None
    content_type: str = ""
    dry_run: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    """Fields of TenancySettings that hold meanwhile."""

    @property
    def type(self) -> str:
        """Return the content type: a PATCH is a merge unless it says otherwise."""
        return self.content_type or (MERGE if self.method == "PATCH" else "application/json")

    def sent(self, speakers: Mapping[str, Api], **words: str) -> Answer:
        """Send it; ``words`` are replaced by what only the cluster knows."""
        path, body = self.path, json.dumps(self.body)
        for word, found in words.items():
            path, body = path.replace(word, found), body.replace(word, found)
        params = {"dryRun": "All"} if self.dry_run else {}
        speaker, wanted = speakers[self.who], json.loads(body)
        for _ in range(_RACES):
            sent = wanted
            if self.method == "PUT" and (there := speaker.call("GET", path)).status == 200:
                # Of the very object that is there.
                sent = {**wanted, "metadata": {**there.body["metadata"], **wanted["metadata"]}}
            answer = speaker.call(self.method, path, sent, content_type=self.type, **params)
            if self.method != "PUT" or answer.status != 409:
                break
        return answer


_RACES = 20
"""How often an object is replaced that somebody writes meanwhile, like the operator's Lease."""

Expected = Control | Policy


def verdict(answer: Answer, expected: Expected) -> str:
    """Return Blocked, BlockedByOther or Open."""
    if answer.status < 300:
        return "Open"
    if answer.status < 500 and re.search(expected.value, answer.message):
        return "Blocked"
    return f"BlockedByOther: {answer.status} {answer.message}"


def may(
    admin: Api,
    *,
    user: str,
    groups: tuple[str, ...],
    verb: str,
    resource: str,
    namespace: str = "",
    name: str = "",
) -> bool:
    """Ask the API server whether somebody may do something.

    ``resource`` is ``[group/]resource[/subresource]``; a group has a dot or is ``apps`` and the
    like, written with a trailing colon: ``apps:deployments/scale``.
    """
    group, _, rest = resource.rpartition(":")
    plural, _, subresource = rest.partition("/")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "groups": [*groups, "system:authenticated"],
            "resourceAttributes": {
                "namespace": namespace,
                "verb": verb,
                "group": group,
                "resource": plural,
                "subresource": subresource,
                "name": name,
            },
        },
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return bool(admin.call("POST", path, review).ok()["status"].get("allowed", False))


def mutate(body: Any, path: str, value: Any) -> Any:
    """Return a copy that differs in one place; ``path`` is like ``spec.containers.0.image``."""
    head, _, rest = path.partition(".")
    if isinstance(body, list):
        index = int(head)
        items = list(body) if index < len(body) else [*body, {}]
        items[index] = mutate(items[index], rest, value) if rest else value
        return items
    found = body.get(head, [] if rest[:1].isdecimal() else {}) if rest else None
    return {**body, head: mutate(found, rest, value) if rest else value}


GOLDEN = ROOT / "tests" / "golden" / "denials.yaml"


def judge_message(said: str, rule: tuple[str, int], *, update: bool) -> None:
    """Hold a refusal against the page of messages; ``update`` writes it there first."""
    policy, index = rule
    (golden,) = documents.read(GOLDEN.read_text(encoding="utf-8"))
    if update:
        golden.setdefault(policy, {})[index] = said
        GOLDEN.write_text(yaml.safe_dump(golden, width=100), encoding="utf-8")
    assert golden[policy][index] == said
