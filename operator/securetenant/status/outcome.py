"""Outcomes of work and findings about a spec: the input of every condition."""

from dataclasses import dataclass

from securetenant.api import status
from securetenant.api.objects import Ref


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How one namespace of a tenant stands."""

    namespace: str
    pending: tuple[Ref, ...] = ()
    """What is not as it should be; empty when the namespace is ready."""
    reason: str = status.AS_SPECIFIED
    """Why something is pending: a reason of :mod:`securetenant.api.status`."""
    message: str = ""
    """What happened and what to do, for people."""

    @property
    def ready(self) -> bool:
        """Tell whether every object is as it should be."""
        return not self.pending


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
