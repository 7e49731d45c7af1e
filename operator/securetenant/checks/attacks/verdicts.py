"""Attempts, questions, and what an answer to one of them says about the control that is meant."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from securetenant.api.kinds import Kind
from securetenant.api.objects import Body


class Verdict(StrEnum):
    """What an attempt came to."""

    BLOCKED = "Blocked"
    """Refused by the control that is there for it."""
    BLOCKED_BY_OTHER = "BlockedByOther"
    """Refused by something else: nothing is known of the control that is meant."""
    OPEN = "Open"
    """Admitted."""
    INCONCLUSIVE = "Inconclusive"
    """No answer, or one that says nothing: the trial object itself was refused."""


class Control(NamedTuple):
    """Who can refuse, and how its refusal reads."""

    name: str
    pattern: str
    """Searched in the message of the API server."""


def policy(*names: str) -> Control:
    """Return the control that is one of our admission policies: any of these names."""
    listed = "|".join(f"securetenant-{re.escape(each)}" for each in names)
    return Control(
        " or ".join(f"securetenant-{each}" for each in names),
        rf"ValidatingAdmissionPolicy '({listed})' with binding",
    )


BASELINE = Control("Pod Security", r'violates PodSecurity "(baseline|restricted):')
RESTRICTED = Control("Pod Security restricted", r'violates PodSecurity "restricted:')
LIMITS = Control("LimitRange", r"(minimum|maximum) [a-z-]+ usage per (Container|Pod)")
QUOTA = Control("ResourceQuota", r"exceeded quota: |must specify ")
ESCALATION = Control("RBAC", r"is attempting to grant RBAC permissions not currently held")
RBAC = Control("RBAC", "")
"""For questions: the answer to an access review has no message that counts."""

_NOT_THE_CANARYS = re.compile(r"cannot (create|impersonate) resource")
_MOMENTARY = re.compile(r"no params found|not yet synced|serviceaccounts? .*not found")
_OK, _BAD, _TOO_MANY, _BROKEN = 200, 300, 429, 500


class Answer(NamedTuple):
    """What the API server said."""

    status: int
    """The code of HTTP; 0 without an answer."""
    message: str = ""
    body: Body | None = None
    """The object as it would be, where it was admitted."""


Held = Callable[[Body], bool]
"""Where something may be corrected instead of refused: tells whether the object came back so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """The dry-run creation of one object."""

    row: str
    """Of the catalogue, for example B01."""
    what: str
    """What is tried, for people."""
    kind: Kind
    body: Body
    control: Control
    """Who has to refuse it."""
    critical: bool = False
    """Whether it breaks by itself the isolation from others."""
    held: Held | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """Whether somebody may do something that nobody of a tenant may."""

    row: str
    what: str
    user: str
    groups: tuple[str, ...] = ()
    verb: str
    group: str = ""
    resource: str
    subresource: str = ""
    namespace: str = ""
    """Empty: in the whole cluster."""
    name: str = ""
    critical: bool = False


class Seen(NamedTuple):
    """One attempt or question, and what came of it."""

    row: str
    what: str
    control: str
    critical: bool
    verdict: Verdict
    message: str = ""
    """What the API server said, where that is worth reading."""


def is_void(answer: Answer) -> bool:
    """Tell whether an answer says nothing of any control: to be asked again."""
    return (
        answer.status in (0, _TOO_MANY)
        or answer.status >= _BROKEN
        or _NOT_THE_CANARYS.search(answer.message) is not None
        or _MOMENTARY.search(answer.message) is not None
    )


def passes(trial: Answer) -> bool:
    """Tell whether the trial object came past every control that attempts are about.

    A full quota may refuse it: that is asked last, so all others had let it pass.
    """
    return _is_admitted(trial) or re.search(QUOTA.pattern, trial.message) is not None


def judge(attempt: Attempt, answer: Answer, *, clean: bool) -> Seen:
    """Return what an attempt came to; ``clean`` says that its trial object passed."""
    return Seen(
        attempt.row,
        attempt.what,
        attempt.control.name,
        attempt.critical,
        _verdict(attempt, answer, clean=clean),
        answer.message,
    )


def _verdict(attempt: Attempt, answer: Answer, *, clean: bool) -> Verdict:
    if is_void(answer):
        return Verdict.INCONCLUSIVE
    if _is_admitted(answer):
        is_held = attempt.held is not None and attempt.held(answer.body or {})
        return Verdict.BLOCKED if is_held else Verdict.OPEN
    if not clean:
        return Verdict.INCONCLUSIVE
    if re.search(attempt.control.pattern, answer.message):
        return Verdict.BLOCKED
    return Verdict.BLOCKED_BY_OTHER


def answered(question: Question, allowed: bool | None) -> Seen:
    """Return what a question came to; nothing: it was not answered."""
    verdict = {None: Verdict.INCONCLUSIVE, True: Verdict.OPEN, False: Verdict.BLOCKED}[allowed]
    return Seen(question.row, question.what, RBAC.name, question.critical, verdict)


def _is_admitted(answer: Answer) -> bool:
    return _OK <= answer.status < _BAD
