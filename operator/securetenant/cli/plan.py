"""``securetenant plan``: what a change of specs or settings would do, before it is applied."""

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime

import click

from securetenant.answers import built, planned, withheld
from securetenant.answers.answer import Answer
from securetenant.answers.built import State
from securetenant.answers.planned import Change
from securetenant.answers.snapshot import Snapshot
from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body
from securetenant.cli import asking, files
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login
from securetenant.reconcile.errors import ClusterError, MissingError, RefusedError

_OURS = {
    kinds.SECURE_TENANT.name: kinds.SECURE_TENANT,
    kinds.TENANCY_SETTINGS.name: kinds.TENANCY_SETTINGS,
}
_KINDS = frozenset(_OURS)
_METADATA = ("name", "labels", "annotations")


@click.command(
    epilog=asking.examples(
        "securetenant plan -f acme.yaml",
        "securetenant plan -f tenants/ --all -o markdown",
        "securetenant plan -f tenants/ --base main/tenants/ --offline",
    )
)
@asking.options()
@click.option(
    "-f",
    "--filename",
    "paths",
    multiple=True,
    required=True,
    help="A file, a folder, or - for stdin, with SecureTenants and TenancySettings as they would"
    " be.",
)
@click.option(
    "--all", "everything", is_flag=True, help="A tenant that is not in the files would be deleted."
)
@click.option("--base", multiple=True, help="What holds now, in files. [default: the cluster]")
@click.option("--offline", is_flag=True, help="Ask no cluster: --base says what holds now.")
def plan(
    login: Login,
    form: str,
    paths: tuple[str, ...],
    *,
    everything: bool,
    base: tuple[str, ...],
    offline: bool,
) -> None:
    """Say what changed SecureTenants or TenancySettings would do, and change nothing.

    Objects, access and shares that come, change and go; what opens and closes; pods that would be
    refused if they were made again, that nodes evict or would not take back; what the API server
    says in dry-run; how settings would be rolled out.

    Exit code 2: something new opens between tenants, something is refused, or a tenant names a
    namespace that is another's.
    """
    wanted = _sorted(files.read(paths, _KINDS), paths)
    if offline or base:
        before = _sorted(files.read(base, _KINDS), ())
        if not offline:
            asking.fail("--base says what holds now, so no cluster is asked: add --offline")
        asking.show(planned.plan(_offline(before, wanted, everything=everything)), form)

    async def ask(cluster: Cluster) -> Answer:
        return planned.plan(await _live(cluster, wanted, everything=everything))

    asking.show(asking.answer(login, ask), form)


class _Wanted:
    """What files hold of our kinds."""

    def __init__(self) -> None:
        self.tenants: dict[str, Body] = {}
        self.settings: Body | None = None


def _sorted(bodies: Iterable[Body], asked: tuple[str, ...]) -> _Wanted:
    found = _Wanted()
    for body in bodies:
        name = str(body["metadata"].get("name", ""))
        if body["kind"] == kinds.TENANCY_SETTINGS.name:
            found.settings = body
        elif body["kind"] == kinds.SECURE_TENANT.name:
            if name in found.tenants:
                asking.fail(f"SecureTenant {name} is in the files twice: keep one of them")
            found.tenants[name] = body
    if asked and not found.tenants and found.settings is None:
        asking.fail(
            f"There is no SecureTenant and no TenancySettings in {', '.join(asked)}. Name files"
            " with some by -f"
        )
    return found


def _offline(before: _Wanted, after: _Wanted, *, everything: bool) -> Change:
    old, problem = built.settings(before.settings or after.settings)
    new, new_problem = built.settings(after.settings) if after.settings else (old, problem)
    if old is None and new is None and not new_problem:
        asking.fail(
            "No TenancySettings are in the files: without them nothing is computed. Add the file by"
            " -f or --base, such as manifests/settings/default.yaml"
        )
    tenants = after.tenants if everything else {**before.tenants, **after.tenants}
    return Change(
        before=State(settings=old, tenants=before.tenants, settings_problem=problem),
        after=State(settings=new, tenants=tenants, settings_problem=new_problem),
        snapshot=Snapshot(tenants=before.tenants, settings=old),
        now=datetime.now(UTC),
    )


async def _live(cluster: Cluster, wanted: _Wanted, *, everything: bool) -> Change:
    snapshot = await cluster.network()
    there = dict(snapshot.tenants)
    settings = snapshot.settings
    new, problem = built.settings(wanted.settings) if wanted.settings else (settings, "")
    if settings is None and new is None and not problem:
        asking.fail(
            "There are no TenancySettings, or you may not read them: without them nothing is"
            " computed. Add the file by -f"
        )
    # The uid and the rest of what a file does not say are those of the SecureTenant that is there.
    filled = {
        name: {
            **body,
            "metadata": {**(there.get(name) or {}).get("metadata", {}), **body["metadata"]},
        }
        for name, body in wanted.tenants.items()
    }
    tenants = filled if everything else {**there, **filled}
    changed = [*wanted.tenants]
    spaces = {
        namespace
        for name in (*changed, *(there if wanted.settings else ()))
        for namespace in snapshot.of_tenant(name)
    }
    snapshot = await cluster.with_pods(snapshot, sorted(spaces))
    platform = await cluster.read(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME) or {}
    after, now = State(settings=new, tenants=tenants, settings_problem=problem), datetime.now(UTC)
    change = Change(
        before=State(settings=settings, tenants=there),
        after=after,
        gives=withheld.resting(platform.get("status") or {}, after, now),
        snapshot=snapshot,
        policies=await cluster.policies(),
        quotas=await cluster.inside(kinds.RESOURCE_QUOTA, sorted(spaces)),
        nodes=await cluster.listed(kinds.NODE),
        mutates=await cluster.serves(kinds.MUTATING_POLICY),
        refusals=await _refusals(cluster, wanted, there),
        now=now,
    )
    on_nodes = await cluster.on_nodes(planned.changed_nodes(change))
    return dataclasses.replace(change, on_nodes=on_nodes)


async def _refusals(cluster: Cluster, wanted: _Wanted, there: dict[str, Body]) -> dict[str, str]:
    """Return what the API server says to each manifest in dry-run, where it says no."""
    found = {}
    for body in (*wanted.tenants.values(), *([wanted.settings] if wanted.settings else [])):
        kind, name = _OURS[body["kind"]], str(body["metadata"].get("name", ""))
        live = there.get(name) if kind is kinds.SECURE_TENANT else await cluster.read(kind, name)
        try:
            await _dry_run(cluster, kind, name, body, live)
        except RefusedError as error:
            text = str(error)
            if "cannot update resource" in text or "cannot create resource" in text:
                cluster.miss(f"{kind.name} {name}: what the API server says; you may not change it")
            else:
                found[f"{kind.name} {name}"] = text.rpartition(" (")[0]
        except MissingError:
            raise
        except ClusterError as error:
            cluster.miss(f"{kind.name} {name}: what the API server says ({error})")
    return found


async def _dry_run(cluster: Cluster, kind: Kind, name: str, body: Body, live: Body | None) -> None:
    """Have the API server judge the whole spec: an apply would keep entries of other managers."""
    given = {key: body["metadata"][key] for key in _METADATA if key in body["metadata"]}
    metadata = {**(live["metadata"] if live else {}), **given}
    metadata.pop("managedFields", None)
    await cluster.client.request(
        "PUT" if live else "POST",
        kind.path("", name if live else ""),
        params={"dryRun": "All", "fieldManager": "securetenant-plan"},
        body={
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": metadata,
            "spec": body.get("spec"),
        },
        content_type="application/json",
    )
