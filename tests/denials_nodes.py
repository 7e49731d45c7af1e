"""One refused request for a rule about nodes, for the page of messages.

Apart from the others, since it takes a node that is a tenant's: on any other the bounds refuse too.
"""

from attack_harness import Denial

NODE = "n-fort"
ROWS: dict[tuple[str, int], Denial] = {
    ("securetenant-operator-fence-nodes", 2): Denial(
        who="operator", path=f"/api/v1/nodes/{NODE}", body={"spec": {"taints": None}}
    ),
}
