"""One refused request for each rule about FlowSchemas, for the page of messages."""

from typing import Any

from attack_harness import Denial
from securetenant.api import kinds
from securetenant.desired import fairness
from stolen_operator import flow


def _row(body: dict[str, Any], **fields: Any) -> Denial:
    return Denial(who="operator", method="POST", path=kinds.FLOW_SCHEMA.path(), body=body, **fields)


ROWS: dict[tuple[str, int], Denial] = {
    ("securetenant-operator-fence-flows", 0): _row(flow(name="first-of-all")),
    ("securetenant-operator-fence-flows", 1): _row(flow(matchingPrecedence=2)),
    ("securetenant-operator-fence-flows", 2): _row(flow(rules=[])),
    ("securetenant-operator-fence-flows", 3): _row(
        dict(fairness.build(0, ["kube-system"], ()).body),
    ),
}
