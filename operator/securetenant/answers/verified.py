"""What came of trying to break the isolation."""

from collections.abc import Sequence

from securetenant.answers.answer import FINE, FOUND, Answer, Table
from securetenant.status import isolation, packets
from securetenant.status.isolation import Trial


def verify(tenant: str, trials: Sequence[Trial]) -> Answer:
    """Answer what was tried in each namespace; what is open, or not known, is :data:`FOUND`."""
    verdict = isolation.judge(trials, ())
    # Requests are tried here, and no packets.
    more = f"; {packets.NOT_TRIED}" if verdict.status == "True" else ""
    rows = [
        (each.namespace, seen.row, seen.what, str(seen.verdict), seen.control, seen.message)
        for each in trials
        for seen in each.others
    ]
    return Answer(
        kind="Verify",
        data={
            "tenant": tenant,
            "verified": verdict.status,
            "namespaces": [
                {
                    "name": each.namespace,
                    "tried": each.tried,
                    "refused": each.refused,
                    "problem": each.problem or each.unanswered,
                    "others": [
                        {
                            "row": seen.row,
                            "what": seen.what,
                            "verdict": str(seen.verdict),
                            "control": seen.control,
                            "message": seen.message,
                        }
                        for seen in each.others
                    ],
                }
                for each in trials
            ],
        },
        sections=(
            f"{tenant}: IsolationVerified would be {verdict.status}. {verdict.message}{more}",
            Table(
                columns=("Namespace", "Tried", "Refused as it has to be"),
                rows=tuple((each.namespace, str(each.tried), str(each.refused)) for each in trials),
            ),
            Table(
                title="Not refused as it has to be (docs/proof.md has the rows)",
                columns=("Namespace", "Row", "What", "Verdict", "Control", "It was said"),
                rows=tuple(rows),
            ),
        ),
        code=FINE if verdict.status == "True" else FOUND,
    )
