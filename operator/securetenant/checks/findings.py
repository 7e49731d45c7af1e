"""What a judgement finds: openings that nobody declares, and a verdict about each tenant."""

from typing import Literal, NamedTuple

from securetenant.checks import blocks
from securetenant.checks.blocks import Ranges
from securetenant.checks.flows import End
from securetenant.checks.policies import Opener
from securetenant.checks.ports import Spans

State = Literal["Closed", "Open", "Inconclusive"]


class Opening(NamedTuple):
    """An allowed flow that no declaration covers."""

    source: End | None
    """Nothing for addresses."""
    target: End | None
    """Nothing for addresses."""
    addresses: Ranges
    """Of the end that is none of pods; empty between pods."""
    ports: Spans
    """At the target; those that no declaration covers."""
    egress: Opener | None
    """At the source; nothing for addresses."""
    ingress: Opener | None
    """At the target; nothing for addresses."""

    @property
    def tenants(self) -> tuple[str, ...]:
        """Return the tenants whose opening it is."""
        found = {each.tenant for each in (self.source, self.target) if each is not None}
        return tuple(sorted(found - {""}))

    def __str__(self) -> str:
        source, target = (
            str(each) if each else blocks.told(self.addresses)
            for each in (self.source, self.target)
        )
        openers = "; ".join(
            f"{side}: {told(opener)}"
            for side, opener in (("egress", self.egress), ("ingress", self.ingress))
            if opener is not None
        )
        on = ", ".join(map(str, self.ports))
        return f"{source} reaches {target} on {on} ({openers})"


def told(opener: Opener) -> str:
    """Return an opener with its namespace."""
    where = f"{opener.namespace}/" if opener.namespace else ""
    return str(opener._replace(policy=where + opener.policy)) if opener.policy else str(opener)


class Verdict(NamedTuple):
    """What is said about one tenant."""

    state: State
    openings: tuple[Opening, ...]
    reasons: tuple[str, ...]
    """Why it is Inconclusive; each names a kind and an object."""
    is_cut: bool
    """Whether there are openings that are not named, since there are too many."""


def order(opening: Opening) -> tuple[object, ...]:
    """Return what openings are sorted by."""
    nobody = End("", "", ())
    nothing = Opener("", -1)
    return (
        opening.source or nobody,
        opening.target or nobody,
        opening.addresses,
        opening.ports,
        opening.egress or nothing,
        opening.ingress or nothing,
    )
