"""Outcomes of work and findings about a spec: the input of every condition."""

from dataclasses import dataclass

from securetenant.api import status
from securetenant.api.objects import Ref


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How one namespace of a tenant stands."""

    namespace: str
    pending: tuple[Ref, ...] = ()
    """What is not as it should be."""
    unproved: frozenset[str] = frozenset()
    """Conditions of which a fact is missing here (:func:`securetenant.plan.expected.unproved`)."""
    reason: str = status.AS_SPECIFIED
    """Why something is pending: a reason of :mod:`securetenant.api.status`."""
    message: str = ""
    """What happened and what to do, for people."""

    @property
    def ready(self) -> bool:
        """Tell whether every object is as it should be, and is seen to have its effect."""
        return not self.pending and not self.unproved


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something about the tenant as a whole, which keeps a condition from being True or informs."""

    type: str
    """The condition that it concerns; Ready for the whole."""
    reason: str
    message: str
    """What is wrong and what to do, for people."""
    informs: bool = False
    """Whether it only informs: the condition stays True and gets the reason and the message."""
