"""A cluster as far as the caller may see it: what may not be read is noted, and left out."""

import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from securetenant.answers.snapshot import Snapshot
from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Page
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.kube.client import Client
from securetenant.reconcile.errors import MissingError, RefusedError

T = TypeVar("T")
_ONE_BY_ONE = 20
"""As many namespaces, or nodes, are asked about one by one: it takes less, and fewer rights."""


class Held(NamedTuple):
    """An object that somebody keeps from going."""

    kind: str
    name: str
    finalizers: tuple[str, ...]


def _held(kind: Kind, body: Body) -> Held | None:
    finalizers = body["metadata"].get("finalizers")
    if not finalizers:
        return None
    return Held(kind.name, str(body["metadata"]["name"]), tuple(finalizers))


def _preferred(group: Mapping[str, Any]) -> str:
    return str(group["preferredVersion"]["version"])


class Cluster:
    """Reads what an answer needs."""

    def __init__(self, client: Client, namespace: str, server: str = "") -> None:
        self.client = client
        self.server = server
        """The address of the API server."""
        self.namespace = namespace
        """That of the kubeconfig's context."""
        self._unseen: dict[str, None] = {}

    @property
    def unseen(self) -> tuple[str, ...]:
        """Return what could not be seen, in the order of asking."""
        return tuple(self._unseen)

    def miss(self, what: str) -> None:
        """Note something that could not be seen."""
        self._unseen.setdefault(what)

    async def listed(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        may_lack: bool = False,
        selector: str = "",
        keep: Callable[[Body], Body] = lambda body: body,
    ) -> tuple[Body, ...]:
        """Return all objects of a kind; none where the caller may not list them.

        ``may_lack``: the kind need not be served. ``selector`` is by labels. ``keep`` returns what
        is needed of an object, so that many fit into memory. Raises a :class:`ClusterError`.
        """
        found: list[Body] = []
        try:
            async for page in self.pages(
                kind,
                take=lambda body: keep(_whole(kind, body)),
                namespace=namespace,
                selector=selector,
            ):
                found += page.items
        except MissingError:
            if not may_lack:
                raise
        return tuple(found)

    async def pages(
        self,
        kind: Kind,
        *,
        take: Callable[[dict[str, Any]], T],
        namespace: str = "",
        selector: str = "",
        fields: str = "",
        size: int = 500,
    ) -> AsyncIterator[Page[T]]:
        """Yield a list, page by page; nothing where the caller may not list it."""
        try:
            async for page in self.client.pages(
                kind, take=take, namespace=namespace, selector=selector, fields=fields, size=size
            ):
                yield page
        except RefusedError:
            where = f" in {namespace}" if namespace else ""
            self.miss(f"{kind.plural}{where}: you may not list them")

    async def tried(self, kind: Kind, namespace: str = "") -> tuple[Body, ...] | None:
        """Return all objects of a kind; nothing where that is not known."""
        before = len(self._unseen)
        found = await self.listed(kind, namespace, may_lack=True)
        return found if len(self._unseen) == before else None

    async def tokens(self, namespace: str) -> tuple[str, ...]:
        """Return the names of Secrets with tokens that never end; nothing else of them is read."""
        found: list[str] = []
        async for page in self.pages(
            kinds.SECRET,
            take=lambda body: str(body["metadata"]["name"]),
            namespace=namespace,
            fields="type=kubernetes.io/service-account-token",
        ):
            found += page.items
        return tuple(sorted(found))

    async def held(self, namespace: str) -> tuple[Held, ...]:
        """Return what in a namespace has finalizers, of every kind that may be listed."""
        found: list[Held] = []
        for kind in await self._listable():
            try:
                async for page in self.pages(
                    kind, take=functools.partial(_held, kind), namespace=namespace
                ):
                    found += filter(None, page.items)
            except MissingError:
                continue
        return tuple(sorted(found))

    async def _listable(self) -> list[Kind]:
        """Return every namespaced kind that the API server lists, in the version it prefers."""
        groups = (await self.client.request("GET", "/apis")).get("groups") or ()
        versions = [("", "v1"), *((each["name"], _preferred(each)) for each in groups)]
        return [
            Kind(name=each["kind"], group=group, version=version, plural=plural, namespaced=True)
            for group, version in versions
            for plural, each in sorted((await self.served(group, version)).items())
            if each["namespaced"] and "list" in each["verbs"]
        ]

    async def served(self, group: str, version: str) -> dict[str, Mapping[str, Any]]:
        """Return what the API server serves of a group, by plural."""
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            found = await self.client.request("GET", path)
        except MissingError:
            return {}
        resources = found.get("resources") or ()
        return {each["name"]: each for each in resources if "/" not in each["name"]}

    async def serves(self, kind: Kind) -> bool:
        """Tell whether the API server knows a kind."""
        return kind.plural in await self.served(kind.group, kind.version)

    async def read(self, kind: Kind, name: str, namespace: str = "") -> Body | None:
        """Return an object, or nothing; what may not be read is noted."""
        try:
            return await self._get(kind, name, namespace)
        except RefusedError:
            where = f" in {namespace}" if namespace else ""
            self.miss(f"{kind.name} {name}{where}: you may not read it")
            return None

    async def sought(self, kind: Kind, name: str, namespace: str = "") -> Body | None:
        """Return an object; empty where there is none, nothing where that is not known."""
        before = len(self._unseen)
        found = await self.read(kind, name, namespace)
        return found if found is not None or len(self._unseen) > before else {}

    async def _get(self, kind: Kind, name: str, namespace: str) -> Body | None:
        """Return an object of any kind, with what lists leave out."""
        try:
            return _whole(kind, await self.client.request("GET", kind.path(namespace, name)))
        except MissingError:
            return None

    async def settings(self) -> SettingsSpec | None:
        """Return the TenancySettings; what cannot be understood is noted."""
        body = await self.read(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME)
        if body is None:
            return None
        try:
            return SettingsSpec.model_validate(body["spec"])
        except ValidationError:
            self.miss("TenancySettings default: this program is of another version")
            return None

    async def tenants(self) -> dict[str, Body]:
        """Return every SecureTenant by name."""
        return {each["metadata"]["name"]: each for each in await self.listed(kinds.SECURE_TENANT)}

    async def policies(self) -> tuple[Body, ...]:
        """Return of every TenantPolicy what says whose a namespace is."""
        return await self.listed(kinds.TENANT_POLICY, keep=_claim)

    async def network(
        self,
        within: Callable[[Snapshot], Iterable[str]] | None = None,
        *,
        named: Iterable[str] = (),
    ) -> Snapshot:
        """Return what says who can reach what, without pods.

        ``within`` returns the namespaces whose NetworkPolicies count; by default those of all do.
        Who may list no namespaces sees those that are ``named``, or that of the context.
        """
        namespaces = await self.listed(kinds.NAMESPACE, keep=_lean)
        foreign: list[Body] = []
        for kind in kinds.NOT_EVALUATED:
            foreign += await self.listed(kind, may_lack=True)
        found = Snapshot(
            tenants=await self.tenants(),
            settings=await self.settings(),
            namespaces=namespaces or await self._own_namespaces(named),
            is_whole=bool(namespaces),
            cluster_policies=await self.listed(kinds.CLUSTER_NETWORK_POLICY, may_lack=True),
            foreign_policies=tuple(foreign),
        )
        policies = (
            await self.listed(kinds.NETWORK_POLICY, keep=_lean)
            if within is None
            else await self.inside(kinds.NETWORK_POLICY, within(found))
        )
        return dataclasses.replace(found, network_policies=policies)

    async def with_pods(self, snapshot: Snapshot, namespaces: Iterable[str]) -> Snapshot:
        """Return the same with the pods of some namespaces."""
        pods = await self.inside(kinds.POD, namespaces)
        return dataclasses.replace(snapshot, pods=pods)

    async def inside(self, kind: Kind, namespaces: Iterable[str]) -> tuple[Body, ...]:
        """Return the objects of a kind in some namespaces: of many, by one list of all."""
        wanted = list(dict.fromkeys(namespaces))
        if len(wanted) <= _ONE_BY_ONE:
            return tuple([each for name in wanted for each in await self.listed(kind, name)])
        among = set(wanted)
        return tuple(
            each for each in await self.listed(kind) if each["metadata"]["namespace"] in among
        )

    async def on_nodes(self, nodes: Iterable[str]) -> tuple[Body, ...]:
        """Return the pods on some nodes: on many, by one list of all."""
        wanted = list(dict.fromkeys(nodes))
        if len(wanted) > _ONE_BY_ONE:
            among = set(wanted)
            return tuple(
                each
                for each in await self.listed(kinds.POD)
                if each["spec"].get("nodeName") in among
            )
        found: list[Body] = []
        for name in wanted:
            async for page in self.pages(
                kinds.POD,
                take=lambda body: _whole(kinds.POD, body),
                fields=f"spec.nodeName={name}",
            ):
                found += page.items
        return tuple(found)

    async def _own_namespaces(self, named: Iterable[str]) -> tuple[Body, ...]:
        """Return some namespaces, or the one of the context, for who may list none."""
        wanted = dict.fromkeys(named) or {self.namespace: None}
        return tuple([body for each in wanted if (body := await self.read(kinds.NAMESPACE, each))])


def _lean(body: Body) -> Body:
    """Return an object without what says who wrote which field, which is often half of it."""
    metadata = {key: each for key, each in body["metadata"].items() if key != "managedFields"}
    return {**body, "metadata": metadata}


def _claim(body: Body) -> Body:
    spec = body.get("spec") or {}
    kept = {key: spec[key] for key in ("tenant", "tenantUID", "lockdown") if key in spec}
    hostnames = (spec.get("workloads") or {}).get("hostnames") or ()
    return {**_lean(body), "spec": {**kept, "workloads": {"hostnames": hostnames}}, "status": {}}


def _whole(kind: Kind, body: dict[str, Any]) -> Mapping[str, Any]:
    """Return an item of a list with what lists leave out."""
    return {"apiVersion": kind.api_version, "kind": kind.name, **body}
