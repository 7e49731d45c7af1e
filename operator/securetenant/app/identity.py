"""Whose rights the operator runs with, where nobody said it.

Started without ``--kubeconfig`` outside of a cluster it takes the default kubeconfig, which mostly
is an administrator's. Then no fence holds it, and each of its mistakes has the whole cluster.
"""

from securetenant.api import names
from securetenant.app.errors import StartError
from securetenant.kube.client import Client
from securetenant.reconcile.errors import ClusterError

_GROUP = "authentication.k8s.io/v1"
OWN = f"system:serviceaccount:{names.OPERATOR_NAMESPACE}:{names.OPERATOR}"
"""The account that manifests/operator gives the rights, and the policies operator-fence hold."""
_REMEDY = "Name its own kubeconfig by --kubeconfig FILE (docs/operations.md makes one)"


async def check(client: Client) -> None:
    """Raise :class:`StartError` unless the API server takes us for the operator."""
    body = {"apiVersion": _GROUP, "kind": "SelfSubjectReview"}
    try:
        answer = await client.request(
            "POST",
            f"/apis/{_GROUP}/selfsubjectreviews",
            body=body,
            content_type="application/json",
        )
    except ClusterError as error:
        raise StartError(
            f"Who the default kubeconfig is, is not known: {error}. {_REMEDY}"
        ) from error
    found = str(answer.get("status", {}).get("userInfo", {}).get("username", ""))
    if found != OWN:
        raise StartError(
            f"The default kubeconfig is of {found or 'nobody'}, not of the operator ({OWN})."
            f" {_REMEDY}, or say --any-identity to run with these rights"
        )
