"""The network before and after a change: one world, in which only some tenants differ."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from securetenant.answers.built import Built
from securetenant.answers.snapshot import Snapshot
from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref
from securetenant.checks import live
from securetenant.checks.reachability import World


class Sides:
    """Who can reach what before and after, once everything of some tenants is as it should be.

    The rest of the cluster is the same on both sides, and is read once.
    """

    def __init__(
        self, snapshot: Snapshot, tenants: Iterable[str], *sides: Mapping[str, Built]
    ) -> None:
        self._tenants = set(tenants)
        self._has_tiers = bool(snapshot.cluster_policies)
        self._owned = {
            namespace
            for side in sides
            for name in self._tenants & side.keys()
            for namespace in side[name].manifests
        }
        owners = snapshot.owners
        # A namespace that a tenant lets go keeps its walls.
        kept = [
            each
            for each in snapshot.namespaces
            if owners[each["metadata"]["name"]] not in self._tenants
        ]
        self._there = {
            each["metadata"]["name"]: each
            for each in kept
            if each["metadata"]["name"] in self._owned
        }
        self._policies = defaultdict[str, list[Body]](list)
        rest = []
        for each in snapshot.network_policies:
            namespace = each["metadata"]["namespace"]
            if namespace in self._owned:
                self._policies[namespace].append(each)
            elif owners.get(namespace) is not None:
                rest.append(each)
        self._world = World(
            [live.namespace(each) for each in kept if each["metadata"]["name"] not in self._owned],
            (),
            rest,
            [
                each
                for each in snapshot.cluster_policies
                if names.tenant_of_tier(each["metadata"]["name"]) not in self._tenants
            ],
        )

    def world(
        self, side: Mapping[str, Built], pods: Mapping[str, Sequence[Body]] | None = None
    ) -> World:
        """Return it for one side; the one before it is no more.

        Without pods, or in a namespace that has none, it is about pods that could be made.
        """
        pods = pods or {}
        built_ = {name: side[name] for name in self._tenants & side.keys()}
        made = {space: each for found in built_.values() for space, each in found.manifests.items()}
        for namespace in self._owned:
            policies = self._policies[namespace]
            if namespace in made:
                foreign = [each for each in policies if not _is_ours(each)]
                self._put(namespace, made[namespace], foreign, pods.get(namespace, ()))
            elif namespace in self._there:
                space = live.namespace(self._there[namespace])
                self._world.put(space, live.pods(pods.get(namespace, ())), policies)
            else:
                self._world.remove(namespace)
        if self._has_tiers:
            tiers = {
                names.admin_tier(name): found.tier
                for name in self._tenants
                for found in (built_.get(name, Built()),)
            }
            self._world.change_cluster(tiers)
        return self._world

    def _put(
        self,
        namespace: str,
        manifests: Mapping[Ref, Body],
        foreign: Iterable[Body],
        pods: Iterable[Body],
    ) -> None:
        ours = [body for ref, body in manifests.items() if ref.kind == kinds.NETWORK_POLICY.name]
        for ref, body in manifests.items():
            if ref.kind == kinds.NAMESPACE.name:
                labels = {**body["metadata"]["labels"], names.NAMESPACE_NAME_LABEL: namespace}
                space = live.namespace({"metadata": {"name": namespace, "labels": labels}})
                self._world.put(space, live.pods(pods), [*foreign, *ours])


def _is_ours(body: Body) -> bool:
    labels = body["metadata"].get("labels") or {}
    return bool(labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY)
