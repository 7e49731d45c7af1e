"""``freeze``, ``quarantine``, ``thaw``, ``suspend``, ``resume``: one field of a SecureTenant."""

import click

from securetenant.answers.answer import Answer
from securetenant.api import kinds
from securetenant.api.objects import Body
from securetenant.cli import asking
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login

_MERGE = "application/merge-patch+json"
_MANAGER = "securetenant-cli"
_GITOPS = ("argocd", "kustomize-controller", "helm-controller", "fleet")
"""Field managers that write again what a repository says."""


def _command(name: str, field: str, value: str, summary: str, effect: str) -> click.Command:
    @click.command(name, help=summary, epilog=asking.examples(f"securetenant {name} acme"))
    @asking.options()
    @click.argument("tenant")
    def switch(login: Login, form: str, tenant: str) -> None:
        async def ask(cluster: Cluster) -> Answer:
            before = await cluster.read(kinds.SECURE_TENANT, tenant)
            if before is None:
                asking.fail(
                    f"There is no SecureTenant {tenant}, or you may not read it. See: securetenant"
                    " status"
                )
            old = str((before.get("spec") or {}).get(field) or _DEFAULTS[field])
            if old != value:
                await cluster.client.request(
                    "PATCH",
                    kinds.SECURE_TENANT.path("", tenant),
                    params={"fieldManager": _MANAGER},
                    body={"spec": {field: value}},
                    content_type=_MERGE,
                )
            told = [f"spec.{field} of SecureTenant {tenant} is {value}: {effect}"]
            told += [_warning(each) for each in _keepers(before)]
            return Answer(
                kind="Switch",
                data={"tenant": tenant, "field": field, "before": old, "after": value},
                sections=tuple(told),
            )

        asking.show(asking.answer(login, ask), form)

    return switch


_DEFAULTS = {"lockdown": "None", "reconciliation": "Active"}


def _keepers(body: Body) -> list[str]:
    """Return the programs that write the SecureTenant from a repository."""
    found = {each.get("manager", "") for each in body["metadata"].get("managedFields") or ()}
    return sorted(each for each in found if each.startswith(_GITOPS))


def _warning(manager: str) -> str:
    return (
        f"{manager} keeps this SecureTenant as a repository says: change it there too, or it is"
        " put back."
    )


freeze = _command(
    "freeze",
    "lockdown",
    "Frozen",
    "Freeze TENANT: nothing in its namespaces is created, changed or deleted, and nobody gets a"
    " shell. What runs goes on running.",
    "nothing in its namespaces is created, changed or deleted; what runs goes on. Lift it by:"
    " securetenant thaw",
)
quarantine = _command(
    "quarantine",
    "lockdown",
    "Quarantined",
    "Quarantine TENANT: as freeze, and all traffic is cut, no pod starts, no token is issued, and"
    " its people may only look. What runs goes on running.",
    "all traffic is cut, no pod starts, no token is issued, and its people may only look; what runs"
    " goes on. Lift it by: securetenant thaw",
)
thaw = _command(
    "thaw",
    "lockdown",
    "None",
    "End the freeze or the quarantine of TENANT: what was put aside comes back as it was.",
    "its members may work again",
)
suspend = _command(
    "suspend",
    "reconciliation",
    "Suspended",
    "Have the operator change nothing of TENANT: drift is not repaired.",
    "the operator changes nothing, and repairs no drift. Go on by: securetenant resume",
)
resume = _command(
    "resume",
    "reconciliation",
    "Active",
    "Have the operator keep TENANT again.",
    "the operator keeps it again; what differs is repaired now",
)
