"""``securetenant why``: every reason why something is refused or does not run, at once."""

from datetime import UTC, datetime
from typing import Any

import click
from pydantic import ValidationError

from securetenant.answers import why as reasons
from securetenant.answers.answer import Answer
from securetenant.answers.why import Live, Place, Said
from securetenant.api import kinds, names, status
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.cli import asking, files
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login
from securetenant.reconcile.errors import ClusterError, ConflictError, MissingError, RefusedError

_JSON = "application/json"


def _apps(name: str, plural: str) -> Kind:
    return Kind(name=name, group="apps", version="v1", plural=plural, namespaced=True)


def _batch(name: str, plural: str) -> Kind:
    return Kind(name=name, group="batch", version="v1", plural=plural, namespaced=True)


_REPLICA_SET, _JOB = _apps("ReplicaSet", "replicasets"), _batch("Job", "jobs")
_WORKLOADS = {
    alias: kind
    for kind, aliases in (
        (kinds.POD, ("pod", "pods", "po")),
        (kinds.DEPLOYMENT, ("deployment", "deployments", "deploy")),
        (_apps("StatefulSet", "statefulsets"), ("statefulset", "statefulsets", "sts")),
        (kinds.DAEMON_SET, ("daemonset", "daemonsets", "ds")),
        (_REPLICA_SET, ("replicaset", "replicasets", "rs")),
        (_JOB, ("job", "jobs")),
        (_batch("CronJob", "cronjobs"), ("cronjob", "cronjobs", "cj")),
    )
    for alias in aliases
}
_EVENTS = Kind(name="Event", group="", version="v1", plural="events", namespaced=True)


@click.command(
    epilog=asking.examples(
        "securetenant why -f deployment.yaml -n acme-prod",
        "securetenant why deployment/web -n acme-prod",
        "helm template . | securetenant why -f - -n acme-prod",
    )
)
@asking.options()
@click.argument("workloads", nargs=-1, metavar="[TYPE/NAME]...")
@click.option("-f", "--filename", "paths", multiple=True, help="A file, a folder, or - for stdin.")
@click.option("-n", "--namespace", help="[default: that of the kubeconfig's context]")
def why(
    login: Login,
    form: str,
    workloads: tuple[str, ...],
    paths: tuple[str, ...],
    namespace: str | None,
) -> None:
    """Say everything that refuses a manifest, or keeps a workload from running, at once.

    Each reason says what was found, what is allowed, what to change in the manifest, and whose word
    changes the rule. Members may ask too: it takes what they may read. Nothing is created.

    Exit code 2: there is a reason.
    """
    if bool(workloads) == bool(paths):
        asking.fail(
            "Name a manifest by -f FILE, or a workload by TYPE/NAME. Try: securetenant why --help"
        )
    bodies = list(files.read(paths))
    if paths and not bodies:
        asking.fail(f"No manifest is in {', '.join(paths)}")
    wanted = [_workload(each) for each in workloads]

    async def ask(cluster: Cluster) -> Answer:
        where = namespace or cluster.namespace
        places: dict[str, Place] = {}

        async def at(name: str) -> Place:
            if name not in places:
                places[name] = await _place(cluster, name)
            return places[name]

        found: dict[str, tuple[reasons.Reason, ...]] = {}
        said: dict[str, Said] = {}
        for body in bodies:
            home = str(body["metadata"].get("namespace") or where)
            place = await at(home)
            name = _called(body)
            said[name] = await _try(cluster, body, home)
            found[name] = reasons.manifest(body, place, said[name])
        for kind, name in wanted:
            place = await at(where)
            found[f"{kind.name} {name}"] = reasons.live(
                await _live(cluster, kind, name, where), place
            )
        return reasons.answer(found, said)

    asking.show(asking.answer(login, ask), form)


def _workload(text: str) -> tuple[Kind, str]:
    type, slash, name = text.partition("/")
    kind = _WORKLOADS.get(type.lower().partition(".")[0])
    if not slash or not name or kind is None:
        asking.fail(
            f"{text} is no workload. Write one like deployment/web, pod/web-0 or job/nightly"
        )
    return kind, name


def _called(body: Body) -> str:
    metadata = body["metadata"]
    return (
        f"{body['kind']} {metadata.get('name') or metadata.get('generateName') or 'without a name'}"
    )


async def _place(cluster: Cluster, namespace: str) -> Place:
    policy = await cluster.read(kinds.TENANT_POLICY, names.POLICY_NAME, namespace)
    if policy is None:
        asking.fail(
            f"There is no TenantPolicy in {namespace}, or you may not read it: is it a namespace of"
            " a tenant? Name another by -n NAMESPACE"
        )
    try:
        spec = PolicySpec.model_validate(policy["spec"])
    except ValidationError:
        asking.fail(
            f"The TenantPolicy of {namespace} is of another version than this program. Install the"
            " program in the version of the operator"
        )
    conditions = {each["type"]: each for each in (policy.get("status") or {}).get("conditions", ())}
    ready: dict[str, Any] = conditions.get(status.READY, {})
    return Place(
        namespace,
        spec,
        "" if ready.get("status") == "True" else str(ready.get("message") or "not ready yet"),
        await cluster.read(kinds.RESOURCE_QUOTA, names.QUOTA, namespace),
        await cluster.serves(kinds.MUTATING_POLICY),
        datetime.now(UTC),
    )


async def _try(cluster: Cluster, body: Body, namespace: str) -> Said:
    """Hand the manifest, and the pod that it makes, to the API server in dry-run."""
    refusals = [*await _refused(cluster, body, namespace)]
    pod = reasons.pod_of(body)
    if pod is not None and pod is not body:
        metadata = {**(pod.get("metadata") or {}), "name": f"{names.MANAGED_PREFIX}why"}
        refusals += await _refused(cluster, {**pod, "metadata": metadata}, namespace)
    return Said(tuple(dict.fromkeys(refusals)))


async def _refused(cluster: Cluster, body: Body, namespace: str) -> list[str]:
    group, _, version = str(body["apiVersion"]).rpartition("/")
    served = await cluster.served(group, version)
    found = next((each for each in served.values() if each["kind"] == body["kind"]), None)
    if found is None:
        return [f"{body['kind']} of {body['apiVersion']} is not served here"]
    kind = Kind(
        name=str(body["kind"]),
        group=group,
        version=version,
        plural=str(found["name"]),
        namespaced=bool(found["namespaced"]),
    )
    path = kind.path(namespace if kind.namespaced else "")
    metadata = {key: each for key, each in body["metadata"].items() if key != "namespace"}
    try:
        await cluster.client.request(
            "POST",
            path,
            params={"dryRun": "All", "fieldValidation": "Strict"},
            body={**body, "metadata": metadata},
            content_type=_JSON,
        )
    except ConflictError:
        # It is there already; that one like it may be made was decided before.
        return []
    except RefusedError as error:
        return [str(error).rpartition(" (")[0]]
    return []


async def _live(cluster: Cluster, kind: Kind, name: str, namespace: str) -> Live:
    try:
        body = await cluster.client.request("GET", kind.path(namespace, name))
    except MissingError:
        asking.fail(f"There is no {kind.name} {name} in {namespace}. Name another namespace by -n")
    except ClusterError as error:
        asking.fail(f"{kind.name} {name} cannot be read: {error}")
    body = {"apiVersion": kind.api_version, "kind": kind.name, **body}
    owners = {body["metadata"]["uid"]}
    makers: list[Body] = []
    for each in () if kind is kinds.POD else (_JOB, _REPLICA_SET):
        listed = await cluster.listed(each, namespace)
        makers += [made for made in listed if _is_owned(made, owners)]
    makers_uids = {each["metadata"]["uid"] for each in makers}
    pods = (body,) if kind is kinds.POD else await cluster.listed(kinds.POD, namespace)
    own = [each for each in pods if each is body or _is_owned(each, owners | makers_uids)]
    about = {each["metadata"]["uid"] for each in (body, *makers, *own)}
    events = [
        each
        for each in await cluster.listed(_EVENTS, namespace)
        if each.get("type") == "Warning" and (each.get("involvedObject") or {}).get("uid") in about
    ]
    return Live(body, tuple(makers), tuple(own), tuple(events))


def _is_owned(body: Body, owners: set[str]) -> bool:
    return any(each.get("uid") in owners for each in body["metadata"].get("ownerReferences") or ())
