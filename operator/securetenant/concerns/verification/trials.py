"""Carries out everything that is tried in one namespace."""

import asyncio
import re
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from securetenant.api import kinds
from securetenant.api.access import Grant
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks.attacks import access, objects, pods, trial, verdicts
from securetenant.checks.attacks.objects import Other
from securetenant.checks.attacks.verdicts import (
    LIMITS,
    Answer,
    Attempt,
    Question,
    Seen,
    Verdict,
)
from securetenant.reconcile.ports import Prober
from securetenant.status import isolation
from securetenant.status.isolation import Trial

_EQUAL = 3
"""How many equal answers count: they come over several connections, and so perhaps from several API
servers."""
_NAME = re.compile(rf"{re.escape(trial.PREFIX)}[a-z0-9]+")
_PATIENCE = 5
"""How often the pod that must be admitted is tried, while nothing is known by the answer."""
_PAUSE_SECONDS = 0.5


class Case(NamedTuple):
    """A namespace, and what has to hold there."""

    namespace: str
    policy: PolicySpec
    grants: tuple[Grant, ...]
    other: Other
    turn: int
    """How often it was verified before: what takes turns goes by it."""


async def run(case: Case, prober: Prober, now: datetime) -> Trial:
    """Try everything once; what is not refused as it has to be, several times."""
    first = Attempt(
        row="P0",
        what="the pod that must be admitted",
        kind=kinds.POD,
        body=trial.pod(case.policy),
        control=LIMITS,
    )
    answer = await _first(first, case, prober)
    # The name is another each time; what is said of it is not.
    said = _NAME.sub(trial.PREFIX.rstrip("-"), answer.message) or f"status {answer.status}"
    if verdicts.is_void(answer):
        return Trial(case.namespace, now, 0, unanswered=said)
    if not verdicts.passes(answer):
        return Trial(case.namespace, now, 0, problem=said)
    attempts = (
        *pods.attempts(case.policy, case.other.tenant),
        *objects.attempts(case.policy, case.namespace, case.other),
    )
    questions = (
        question
        for who in access.asked_about(case.grants, case.namespace, case.turn)
        for question in access.questions(who, case.namespace, case.other, case.turn)
    )
    seen = [
        *await _gathered(_attempt(each, case, prober) for each in attempts),
        *await _gathered(_ask(each, prober) for each in questions),
    ]
    refused = sum(each.verdict is Verdict.BLOCKED for each in seen)
    return Trial(case.namespace, now, refused, isolation.sort(seen))


async def _first(attempt: Attempt, case: Case, prober: Prober) -> Answer:
    """Try the pod that must be admitted; a namespace may have been made a moment ago."""
    answer = await prober.attempt(attempt, case.namespace)
    for _ in range(_PATIENCE):
        if not verdicts.is_void(answer):
            break
        await asyncio.sleep(_PAUSE_SECONDS)
        answer = await prober.attempt(attempt, case.namespace)
    return answer


async def _gathered(tries: Iterable[object]) -> list[Seen]:
    found: list[Seen] = await asyncio.gather(*tries)  # type: ignore[call-overload]
    return found


async def _attempt(attempt: Attempt, case: Case, prober: Prober) -> Seen:
    async def ask() -> Seen:
        answer = await prober.attempt(attempt, case.namespace)
        return verdicts.judge(attempt, answer, clean=True)

    seen = await ask()
    for _ in range(_EQUAL - 1):
        if seen.verdict is Verdict.BLOCKED:
            break
        another = await ask()
        if another.verdict is not seen.verdict:
            # One API server knows of a change that another does not know of yet.
            seen = another if seen.verdict is Verdict.INCONCLUSIVE else _unclear(seen)
    return seen


async def _ask(question: Question, prober: Prober) -> Seen:
    allowed = await prober.ask(question)
    if allowed is None:
        allowed = await prober.ask(question)
    return verdicts.answered(question, allowed)


def _unclear(seen: Seen) -> Seen:
    return seen._replace(verdict=Verdict.INCONCLUSIVE, message="two answers differ")
