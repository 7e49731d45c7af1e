"""Why a manifest is refused, or a workload does not run: every reason at once, and what to change.

What would be refused is judged by :mod:`securetenant.checks.standing`, the rules of the policies
said once more; what the API server itself says to the manifest is printed next to it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from securetenant.answers import advice, needs
from securetenant.answers.answer import FINE, FOUND, Answer, Block, Section
from securetenant.api import kinds, lockdown, names, text
from securetenant.api.objects import Body
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import filled, standing

_POLICY = re.compile(r"'(?P<policy>securetenant-[a-z0-9-]+)' with binding")
_MOST, _SHOWN = 100, 100
"""How many reasons are looked for in one object, and how much is shown of a value."""
_SERVERS = "API server"
_QUOTA = f"ResourceQuota {names.QUOTA}"
_LIMITS = f"LimitRange {names.LIMITS}"
_BY_QUOTA = "platform team, spec.quota of the SecureTenant"
_LESS = "Ask for less, or end something else in the namespace"
_FROM_THE_POOL = (
    "Make it with a Deployment, StatefulSet or Job: after one refusal it gets room that other"
    " namespaces of the tenant leave. Or ask for less"
)
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Deployment": ("spec", "template"),
    "Job": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
}
"""Where each kind keeps the pods that it makes."""


class Reason(NamedTuple):
    """One thing that keeps something from being admitted, or from running."""

    rule: str
    """What says no."""
    found: str
    allowed: str
    change: str
    """What to change in the manifest."""
    word: str
    """Whose word changes the rule; empty: nobody's is needed."""

    def text(self) -> str:
        """Return it for people."""
        lines = [f"found     {self.found}"]
        if self.allowed:
            lines.append(f"allowed   {self.allowed}")
        lines.append(f"change    {self.change}")
        if self.word:
            lines.append(f"or        {self.word}")
        return "\n".join(lines)


class Place(NamedTuple):
    """Where a manifest goes."""

    namespace: str
    policy: PolicySpec
    state: str
    """What keeps the whole namespace from admitting anything; empty: nothing."""
    quota: Body | None
    mutates: bool
    """Whether the API server knows mutating policies."""
    now: datetime


class Said(NamedTuple):
    """What the API server said to a manifest in dry-run; nothing: it was not asked."""

    refusals: tuple[str, ...] = ()
    is_asked: bool = True


def pod_of(body: Body) -> Body | None:
    """Return the pod that a manifest is, or makes."""
    if body.get("kind") == kinds.POD.name:
        return body
    path = _TEMPLATES.get(str(body.get("kind")))
    found: Any = body if path else None
    for key in path or ():
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return None
    return {"apiVersion": "v1", "kind": kinds.POD.name, **found}


def manifest(body: Body, place: Place, said: Said) -> tuple[Reason, ...]:
    """Return every reason against one manifest.

    What the API server admits is admitted, whatever is found here.
    """
    if said.is_asked and not said.refusals:
        return ()
    found = [*_state(place), *_judged(body, place)]
    found += _unexplained(said, found)
    return tuple(dict.fromkeys(found))


def answer(reasons: Mapping[str, tuple[Reason, ...]], said: Mapping[str, Said]) -> Answer:
    """Answer about manifests, or workloads, by how each is called."""
    sections: list[Section] = []
    for name, found in reasons.items():
        sections.append(_headline(name, found, said.get(name)))
        sections += [
            Block(title=f"{number}. {each.rule}", text=each.text(), language="text")
            for number, each in enumerate(found, 1)
        ]
    return Answer(
        kind="Why",
        data={
            "objects": [
                {"name": name, "reasons": [each._asdict() for each in found]}
                for name, found in reasons.items()
            ]
        },
        sections=tuple(sections),
        code=FOUND if any(reasons.values()) else FINE,
    )


def _headline(name: str, found: tuple[Reason, ...], said: Said | None) -> str:
    if found:
        return f"{name}: {len(found)} {'reason' if len(found) == 1 else 'reasons'}"
    if said is not None and said.is_asked:
        return f"{name}: the API server admits it."
    return f"{name}: nothing is found that keeps it from running."


# --- a manifest -----------------------------------------------------------------------------


def _state(place: Place) -> Iterator[Reason]:
    if place.state:
        yield Reason("securetenant-gate", place.state, "", "Wait, or see the status", "")
    if place.policy.lockdown != lockdown.NONE:
        yield Reason(
            "securetenant-lockdown",
            f"the tenant is {place.policy.lockdown.lower()}",
            "nothing is created, changed or deleted",
            "Wait until it is lifted",
            "platform team, spec.lockdown of the SecureTenant",
        )


def _judged(body: Body, place: Place) -> Iterator[Reason]:
    rules = standing.today(place.namespace, place.policy, place.now)
    kind = next((each for each in standing.KINDS if each.name == body.get("kind")), None)
    pod = pod_of(body)
    if pod is not None:
        body, kind = filled.fill(pod, place.policy, mutates=place.mutates), kinds.POD
    if kind is None:
        return
    metadata = {"name": "", **(body.get("metadata") or {})}
    metadata["annotations"] = metadata.get("annotations") or {}
    try:
        found = standing.judge(kind, {**body, "metadata": metadata}, rules, most=_MOST)
    except (AttributeError, KeyError, TypeError, ValueError):
        # The API server says what is wrong with its form.
        return
    told = [(each.rule, each.what) for each in found]
    if pod is not None and body["spec"].get("nodeName"):
        # Of a pod that is there the scheduler wrote it, so it is not judged there.
        told.insert(0, ("securetenant-pods", "nodeName"))
    for rule, what in told:
        hint = advice.about(kind.name, what, place.policy)
        shown = f"{_with_value(what, body)} ({hint.field})"
        yield Reason(rule, shown, hint.allowed, hint.change, hint.word)
    if pod is not None:
        yield from _sizes(body["spec"], place)


def _with_value(what: str, body: Body) -> str:
    """Return what is violated, with its value where it is a field of the spec."""
    value = (body.get("spec") or {}).get(what)
    if value is None:
        return what
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"{what} is {text.shorten(text.escape(written), _SHOWN)}"


def _sizes(spec: Body, place: Place) -> Iterator[Reason]:
    for each in needs.out_of_bounds(spec, place.policy):
        yield Reason(
            _LIMITS,
            f"{each.field} of container {each.container} is {each.found}",
            each.bound,
            f"Write {each.bound}",
            "platform team, spec.containerLimits of the SecureTenant",
        )
    for lack in needs.lacks(spec, place.policy, place.quota):
        yield Reason(
            _QUOTA,
            f"a pod takes {lack.need} of {lack.resource}; {lack.left} of {lack.hard} are left",
            lack.hard,
            _FROM_THE_POOL if lack.gets else _LESS,
            _BY_QUOTA,
        )


def _unexplained(said: Said, found: Iterable[Reason]) -> Iterator[Reason]:
    """Yield what the API server says and nothing here explains."""
    known = {each.rule for each in found}
    for message in said.refusals:
        named = _POLICY.search(message)
        rule = named["policy"] if named else ""
        is_known = (
            rule in known
            or (bool(known) and "violates PodSecurity" in message)
            or (_QUOTA in known and "exceeded quota" in message)
            or (_LIMITS in known and " usage per Container" in message)
        )
        if not is_known:
            short = message.partition("denied request: ")[2] or message
            yield Reason(rule or _SERVERS, short, "", *_remedy(message))


def _remedy(message: str) -> tuple[str, str]:
    if "cannot create resource" in message:
        return (
            "Ask for access: what you may do here does not include it",
            "platform team, spec.access of the SecureTenant",
        )
    if "violates PodSecurity" in message:
        return "Change what it names", "platform team, spec.podSecurity of the SecureTenant"
    if "exceeded quota" in message:
        return _LESS, _BY_QUOTA
    return "Change what it names", ""


# --- a workload that is there ---------------------------------------------------------------


class Live(NamedTuple):
    """A workload, and what the cluster says about it and its pods."""

    body: Body
    makers: tuple[Body, ...] = ()
    """Objects between it and its pods: ReplicaSets and Jobs."""
    pods: tuple[Body, ...] = ()
    events: tuple[Body, ...] = ()
    """Warnings about any of them."""


def live(found: Live, place: Place) -> tuple[Reason, ...]:
    """Return every reason why a workload does not run as it says."""
    reasons = list(_state(place))
    refusals = tuple(dict.fromkeys(_refusals(found)))
    if refusals:
        judged = list(_judged(found.body, place))
        reasons += [*judged, *_unexplained(Said(refusals), judged)]
    for pod in found.pods:
        reasons += _waiting(pod)
    return tuple(dict.fromkeys(reasons))


def _refusals(found: Live) -> Iterator[str]:
    """Yield what the API server said when pods were to be made."""
    for each in (found.body, *found.makers):
        for condition in (each.get("status") or {}).get("conditions") or ():
            if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
                yield str(condition.get("message", ""))
    for event in found.events:
        if event.get("reason") == "FailedCreate":
            yield str(event.get("note") or event.get("message") or "")


def _waiting(pod: Body) -> Iterator[Reason]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield Reason(
                "scheduler",
                f"pod {name} has no node: {condition.get('message', '')}",
                "",
                "Ask for less, or for other nodes",
                "platform team, spec.nodes of the SecureTenant and the nodes themselves",
            )
    for each in (
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    ):
        waiting = (each.get("state") or {}).get("waiting") or {}
        ended = (each.get("lastState") or {}).get("terminated") or {}
        reason = str(waiting.get("reason", ""))
        what = f"container {each.get('name')} of pod {name}"
        if ended.get("reason") == "OOMKilled":
            yield Reason(
                "kubelet",
                f"{what} had more memory than its limit, and was ended",
                "",
                "Raise resources.limits.memory, or have the program take less",
                "",
            )
        elif reason and reason not in ("ContainerCreating", "PodInitializing"):
            yield Reason(
                "kubelet",
                f"{what}: {reason}: {waiting.get('message', '')}".rstrip(": "),
                "",
                _kubelets_remedy(reason, str(waiting.get("message", ""))),
                "",
            )


def _kubelets_remedy(reason: str, message: str) -> str:
    if "run as root" in message or "non-numeric user" in message:
        return "Write a runAsUser other than 0, or build the image with a numeric USER"
    if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName"):
        return "See whether the image is there, and whether an imagePullSecret is needed"
    if reason == "CrashLoopBackOff":
        return "Read its log: kubectl logs --previous"
    return "See: kubectl describe pod"
