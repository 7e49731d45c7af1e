"""``freeze``, ``quarantine``, ``thaw``, ``suspend``, ``resume``: one field of a SecureTenant."""

import click

from securetenant.answers.answer import FINE, FOUND, Answer
from securetenant.api import kinds
from securetenant.api.objects import Body
from securetenant.cli import asking
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login

_MERGE = "application/merge-patch+json"
_MANAGER = "securetenant-cli"
_GITOPS = ("argocd", "kustomize-controller", "helm-controller", "fleet")
"""Field managers that write again what a repository says."""


_EXIT = "\n\nExit code 2: TENANT is suspended, so nothing happens until it is resumed."


def _command(name: str, field: str, value: str, summary: str, effect: str) -> click.Command:
    """Make a command; ``effect`` says what is asked for, by when it holds and what ends it."""

    @click.command(
        name, help=_help(summary, field), epilog=asking.examples(f"securetenant {name} acme")
    )
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
            is_suspended = field != "reconciliation" and _is_suspended(before)
            asked = f"spec.{field} of SecureTenant {tenant} is now {value}."
            effects = _NOTHING_YET if is_suspended else effect
            told = [f"{asked} {effects.format(tenant=tenant)}"]
            told += [_warning(each) for each in _keepers(before)]
            return Answer(
                kind="Switch",
                data={
                    "tenant": tenant,
                    "field": field,
                    "before": old,
                    "after": value,
                    "suspended": is_suspended,
                },
                sections=tuple(told),
                code=FOUND if is_suspended else FINE,
            )

        asking.show(asking.answer(login, ask), form)

    return switch


_DEFAULTS = {"lockdown": "None", "reconciliation": "Active"}
_NOTHING_YET = (
    "The SecureTenant is suspended: nothing of it happens until it is resumed. Resume it by:"
    " securetenant resume {tenant}"
)


def _help(summary: str, field: str) -> str:
    return summary if field == "reconciliation" else summary + _EXIT


def _is_suspended(body: Body) -> bool:
    return (body.get("spec") or {}).get("reconciliation") == "Suspended"


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
    "The operator is asked to have everything refused that creates, changes or deletes something"
    " in its namespaces; what runs goes on. It holds once NamespacesReady is True: securetenant"
    " status {tenant}. Lift it by: securetenant thaw {tenant}",
)
quarantine = _command(
    "quarantine",
    "lockdown",
    "Quarantined",
    "Quarantine TENANT: as freeze, and all traffic is cut, no pod starts, no token is issued, and"
    " its people may only look. What runs goes on running.",
    "The operator is asked to cut all traffic, to have every new pod and token refused, and to let"
    " its people only look; what runs goes on. It holds once NamespacesReady, NetworkIsolated and"
    " AccessScoped are True: securetenant status {tenant}. Lift it by: securetenant thaw {tenant}",
)
thaw = _command(
    "thaw",
    "lockdown",
    "None",
    "End the freeze or the quarantine of TENANT: what was put aside comes back as it was.",
    "The operator is asked to bring back what was put aside, and the rights of its members. It is"
    " done once NamespacesReady, NetworkIsolated and AccessScoped are True: securetenant status"
    " {tenant}",
)
suspend = _command(
    "suspend",
    "reconciliation",
    "Suspended",
    "Have the operator change nothing of TENANT: drift is not repaired.",
    "The operator changes nothing of it, and repairs no drift. Go on by: securetenant resume"
    " {tenant}",
)
resume = _command(
    "resume",
    "reconciliation",
    "Active",
    "Have the operator keep TENANT again.",
    "The operator is asked to keep it again, and to repair what differs. See: securetenant status"
    " {tenant}",
)
