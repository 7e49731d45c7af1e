"""``freeze``, ``quarantine``, ``thaw``, ``suspend``, ``resume``: one field of a SecureTenant."""

import asyncio
import time
from dataclasses import dataclass

import click

from securetenant.answers import standing
from securetenant.answers.answer import FINE, FOUND, Answer
from securetenant.api import kinds, status
from securetenant.api.objects import Body
from securetenant.cli import asking
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login

_MERGE = "application/merge-patch+json"
_MANAGER = "securetenant-cli"
_GITOPS = ("argocd", "kustomize-controller", "helm-controller", "fleet")
"""Field managers that write again what a repository says."""


_EXIT = """

Returns at once; --wait waits until it is in force.

Exit code 2: TENANT is suspended, so nothing happens until it is resumed; or it is not in force
after --timeout."""
_POLL_SECONDS = 0.2
_WAIT_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Switch:
    """A value of a field."""

    field: str
    value: str
    effect: str
    """What the operator is asked for."""
    undo: str = ""
    """What ends it, before the name of the tenant."""
    signs: tuple[str, ...] = ()
    """The conditions that are True once it is in force."""

    def problem(self, body: Body) -> str:
        """Return what is not in force yet; nothing: all is."""
        now = body["metadata"]["generation"]
        if (body.get("status") or {}).get("observedGeneration") != now:
            return "the operator has not seen it: is it running?"
        found = standing.conditions(body)
        for each in self.signs:
            said = found.get(each)
            if said is None or said["observedGeneration"] != now:
                return f"nothing is said of {each} yet"
            if said["status"] != "True":
                return f"{each} is {said['status']}: {said['message']}"
        return ""

    def told(self, tenant: str) -> str:
        """Say what was asked for, by what people see that it is in force, and what ends it."""
        undo = [f"{self.undo} {tenant}"] if self.undo else []
        if not self.signs:
            return " ".join((self.effect, *undo))
        others, last = ", ".join(self.signs[:-1]), self.signs[-1]
        signs = f"{others} and {last} are" if others else f"{last} is"
        sign = (
            f"It is in force once the operator has seen the change and {signs} True: securetenant"
            f" status {tenant}. --wait waits for it."
        )
        return " ".join((self.effect, sign, *undo))


def _command(name: str, summary: str, change: Switch) -> click.Command:
    """Make a command."""

    @click.command(
        name, help=summary + _EXIT, epilog=asking.examples(f"securetenant {name} acme --wait")
    )
    @asking.options()
    @click.argument("tenant")
    @click.option("--wait", "waits", is_flag=True, help="Return once it is in force.")
    @click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        help=f"With --wait: for so many seconds at most. [default: {_WAIT_SECONDS}]",
    )
    def switch(login: Login, form: str, tenant: str, *, waits: bool, timeout: float | None) -> None:
        if timeout is not None and not waits:
            asking.fail("--timeout says how long --wait waits: add --wait")

        async def ask(cluster: Cluster) -> Answer:
            before = await _read(cluster, tenant)
            old = str((before.get("spec") or {}).get(change.field) or _DEFAULTS[change.field])
            if old != change.value:
                await cluster.client.request(
                    "PATCH",
                    kinds.SECURE_TENANT.path("", tenant),
                    params={"fieldManager": _MANAGER},
                    body={"spec": {change.field: change.value}},
                    content_type=_MERGE,
                )
            is_held = change.field != "reconciliation" and _is_suspended(before)
            lacks = None
            if waits and not is_held:
                seconds = _WAIT_SECONDS if timeout is None else timeout
                lacks = await _wait(cluster, tenant, change, seconds)
            asked = f"spec.{change.field} of SecureTenant {tenant} is now {change.value}."
            told = _told(change, tenant, lacks, is_held=is_held)
            return Answer(
                kind="Switch",
                data={
                    "tenant": tenant,
                    "field": change.field,
                    "before": old,
                    "after": change.value,
                    "suspended": is_held,
                    "inForce": None if lacks is None else not lacks,
                },
                sections=(f"{asked} {told}", *map(_warning, _keepers(before))),
                code=FOUND if is_held or lacks else FINE,
            )

        asking.show(asking.answer(login, ask), form)

    return switch


async def _read(cluster: Cluster, tenant: str) -> Body:
    found = await cluster.read(kinds.SECURE_TENANT, tenant)
    if found is None:
        asking.fail(
            f"There is no SecureTenant {tenant}, or you may not read it. See: securetenant status"
        )
    return found


async def _wait(cluster: Cluster, tenant: str, change: Switch, seconds: float) -> str:
    """Wait until a change is in force; return what is not, after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        lacks = change.problem(await _read(cluster, tenant))
        if not lacks or time.monotonic() > deadline:
            return lacks
        await asyncio.sleep(_POLL_SECONDS)


def _told(change: Switch, tenant: str, lacks: str | None, *, is_held: bool) -> str:
    """Say what comes of it; ``lacks`` is what is not in force yet, if that was waited for."""
    if is_held:
        return (
            "The SecureTenant is suspended: nothing of it happens until it is resumed. Resume it"
            f" by: securetenant resume {tenant}"
        )
    if lacks is None:
        return change.told(tenant)
    return f"It is not in force yet: {lacks}" if lacks else "It is in force."


_WALLS = (status.NAMESPACES_READY, status.NETWORK_ISOLATED, status.ACCESS_SCOPED)
_DEFAULTS = {"lockdown": "None", "reconciliation": "Active"}


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
    "Freeze TENANT: nothing in its namespaces is created, changed or deleted, and nobody gets a"
    " shell. What runs goes on running.",
    Switch(
        field="lockdown",
        value="Frozen",
        signs=(status.NAMESPACES_READY,),
        effect="The operator is asked to have everything refused that creates, changes or deletes"
        " something in its namespaces; what runs goes on.",
        undo="Lift it by: securetenant thaw",
    ),
)
quarantine = _command(
    "quarantine",
    "Quarantine TENANT: as freeze, and all traffic is cut, no pod starts, no token is issued, and"
    " its people may only look. What runs goes on running.",
    Switch(
        field="lockdown",
        value="Quarantined",
        signs=_WALLS,
        effect="The operator is asked to cut all traffic, to have every new pod and token refused,"
        " and to let its people only look; what runs goes on.",
        undo="Lift it by: securetenant thaw",
    ),
)
thaw = _command(
    "thaw",
    "End the freeze or the quarantine of TENANT: what was put aside comes back as it was.",
    Switch(
        field="lockdown",
        value="None",
        signs=_WALLS,
        effect="The operator is asked to bring back what was put aside, and the rights of its"
        " members.",
    ),
)
suspend = _command(
    "suspend",
    "Have the operator change nothing of TENANT: drift is not repaired.",
    Switch(
        field="reconciliation",
        value="Suspended",
        effect="The operator changes nothing of it, and repairs no drift.",
        undo="Go on by: securetenant resume",
    ),
)
resume = _command(
    "resume",
    "Have the operator keep TENANT again.",
    Switch(
        field="reconciliation",
        value="Active",
        signs=(status.READY,),
        effect="The operator is asked to keep it again, and to repair what differs.",
    ),
)
