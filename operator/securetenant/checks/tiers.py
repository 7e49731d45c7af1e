"""What ClusterNetworkPolicies of one tier decide about traffic, and what they leave.

Source: network-policy-api, v1alpha2. Within a policy the first rule that matches decides; within
a tier the policy with the lowest priority does. Where policies of one priority match the same
traffic, an implementation may apply any of them: here each outcome counts as possible, so what
one of them accepts is accepted, and denied is only what all of them deny.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from securetenant.checks import ports
from securetenant.checks.policies import Opener, TierRule
from securetenant.checks.ports import Spans

Group = tuple[tuple[TierRule, ...], ...]
"""The rules of policies that have one priority."""
Allowed = list[tuple[Opener, Spans]]
"""What each opener lets through; the openers may overlap."""


class Decision(NamedTuple):
    """What a tier makes of some traffic."""

    accepted: Allowed
    left: Spans
    """What the next tier decides about: passed on, or matched by no rule."""


def decide(
    groups: Iterable[Group], traffic: Spans, matched: Callable[[TierRule], Spans]
) -> Decision:
    """Return what a tier decides; ``matched`` says which ports a rule matches."""
    accepted: Allowed = []
    passed: Spans = ()
    left = traffic
    for group in groups:
        remaining = left
        for rules in group:
            undecided = left
            for rule in rules:
                hit = ports.common(undecided, matched(rule))
                if not hit and rule.is_whole:
                    continue
                if rule.action == "Accept" and hit:
                    accepted.append((rule.opener, hit))
                elif rule.action == "Pass":
                    # What is not understood of it may match everything.
                    more = hit if rule.is_whole else undecided
                    passed = ports.union((*passed, *more))
                undecided = ports.without(undecided, hit)
            remaining = ports.common(remaining, undecided)
        left = remaining
        if not left:
            break
    return Decision(accepted, ports.union((*passed, *left)))
