"""TenancySettings: what the platform team says once for every tenant."""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import Field

from securetenant.api import addresses, metadata, names, quantities, quotas
from securetenant.api.access import Role
from securetenant.api.addresses import Cidrs
from securetenant.api.agents import Agent
from securetenant.api.limits import PlatformLimits
from securetenant.api.metadata import Labels
from securetenant.api.network import (
    PlatformNetwork,
    SelectorLabels,
    TenantNetwork,
    selector_rules,
)
from securetenant.api.nodes import SettingsNodes
from securetenant.api.quotas import QuotaMap
from securetenant.api.rules import Model, Rule, listed, snake
from securetenant.api.securetenant import TenantSpec
from securetenant.api.status import ObservedStatus
from securetenant.api.workloads import Workloads

# Models below have a field of the module's name.
_networks_rule = addresses.rule


def _overlap(one: str, other: str) -> bool:
    first, second = addresses.network(one), addresses.network(other)
    return (
        first is not None
        and second is not None
        and (addresses.contains(first, second) or addresses.contains(second, first))
    )


class DnsPods(Model):
    """DNS servers that run as pods."""

    namespace_labels: Labels
    """Labels of their namespace, for example kubernetes.io/metadata.name: kube-system."""
    pod_labels: Labels
    """Labels of the pods, for example k8s-app: kube-dns."""

    rules = (
        Rule(
            cel="self.namespaceLabels.size() > 0 && self.podLabels.size() > 0",
            holds=lambda self: bool(self.namespace_labels and self.pod_labels),
            message="name at least one label of each: an empty selector would be everybody",
        ),
    )


class Dns(Model):
    """The cluster's DNS: what every tenant may reach."""

    pods: Annotated[tuple[DnsPods, ...], Field(max_length=8, json_schema_extra=listed("atomic"))]
    """DNS servers that run as pods."""
    addresses: Cidrs
    """DNS servers that are reached by address: the cluster DNS Service, NodeLocal DNS."""
    ports: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65535, json_schema_extra={"format": "int32"})], ...],
        Field(min_length=1, max_length=8, json_schema_extra=listed("atomic")),
    ]
    """Ports, UDP and TCP: 53; on OpenShift 5353 too."""

    rules = (
        _networks_rule("addresses"),
        Rule(
            cel="self.pods.size() + self.addresses.size() > 0",
            holds=lambda self: bool(self.pods or self.addresses),
            message="dns names no server, so no tenant could resolve a name. Write the labels of"
            " the DNS pods into dns.pods, or the address of a DNS server into dns.addresses",
        ),
    )


class ApiServer(Model):
    """Where pods find the API server."""

    addresses: Cidrs
    """Its addresses, those of the Service default/kubernetes and of its endpoints. Network plugins
    differ in which of them they look at."""
    ports: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65535, json_schema_extra={"format": "int32"})], ...],
        Field(min_length=1, max_length=8, json_schema_extra=listed("atomic")),
    ]
    """Its ports, TCP: that of the Service, 443, and that of the endpoints, mostly 6443."""

    rules = (_networks_rule("addresses"),)


class IngressController(Model):
    """Pods that let traffic from outside into the cluster."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """The name by which openings mean it, for example nginx."""
    namespace_labels: SelectorLabels
    """Labels of its namespace, for example kubernetes.io/metadata.name: ingress-nginx."""
    pod_labels: SelectorLabels
    """Labels of its pods, for example app.kubernetes.io/name: ingress-nginx."""

    rules = (*selector_rules("namespaceLabels"), *selector_rules("podLabels"))


ProtectedName = Annotated[str, Field(min_length=1, max_length=63)]


class MirrorPods(Model):
    """Pods by which nodes show their static pods."""

    namespaces: Annotated[
        tuple[Annotated[str, Field(max_length=63)], ...],
        Field(max_length=32, json_schema_extra=listed("set")),
    ]
    """Where nodes may create them: kube-system."""
    refused_labels: Annotated[
        tuple[Annotated[str, Field(max_length=317)], ...],
        Field(max_length=32, json_schema_extra=listed("set")),
    ]
    """Label keys that they may not carry, since the platform finds its own pods by them."""


_PEM = r"^(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]{1,76}\n)+-----END CERTIFICATE-----(\n|$))+$"


class Kubelets(Model):
    """How kubelets are read."""

    ca_bundle: Annotated[str, Field(min_length=1, max_length=65536)]
    """Certificates, PEM, of the authorities that sign the kubelets' serving certificates. Absent,
    that of the API server has to."""

    rules = (
        Rule(
            cel=f"self.caBundle.matches('{_PEM}')",
            holds=lambda self: re.search(_PEM.replace("$", r"\Z"), self.ca_bundle) is not None,
            message="caBundle is one or more certificates in PEM and nothing else: no comments, no"
            " blank lines, no key",
            path=".caBundle",
        ),
    )


Pattern = Annotated[str, Field(min_length=1, max_length=253)]
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=256, json_schema_extra=listed("set"))]


def _patterns_rule(field: str) -> Rule:
    def holds(self: "Bounds") -> bool:
        return all("*" not in each[:-1] for each in getattr(self, field) or ())

    return Rule(
        cel=f"!has(self.{field}) || self.{field}.all(p,"
        " p.indexOf('*') == -1 || p.indexOf('*') == p.size() - 1)",
        holds=holds,
        message=f"an entry of {field} is a name, or a beginning and an asterisk at its end",
        path=f".{field}",
    )


class Bounds(Model):
    """Upper bounds that no SecureTenant may pass; what is absent has no bound.

    They also bound the operator itself, no matter who holds its token.
    """

    quota: QuotaMap | None = None
    """The most that a tenant may have, by resource. A tenant that nobody gave a quota of it gets as
    much, but for devices and huge pages, of which it gets none."""
    roles: (
        Annotated[tuple[Role, ...], Field(max_length=3, json_schema_extra=listed("set"))] | None
    ) = None
    """Roles that may be granted."""
    groups: Patterns | None = None
    """Groups that may be granted access: a name, or a beginning and an asterisk. [] means none."""
    users: Patterns | None = None
    """Users that may be granted access: a name, or a beginning and an asterisk. [] means none."""
    cidrs: Cidrs | None = None
    """Networks in which the cidr of an opening must lie. [] means that nothing is opened by
    cidr."""
    peers: Patterns | None = None
    """Tenants that may be another's peer: a name, or a beginning and an asterisk. [] means none."""

    tolerations: Patterns | None = None
    """Keys of taints that workloads.tolerations of a tenant may have: a key, or a beginning and an
    asterisk. [] means none."""

    rules = (
        *quotas.rules("quota"),
        quotas.unit_rule("quota"),
        _patterns_rule("groups"),
        _patterns_rule("users"),
        _patterns_rule("peers"),
        _patterns_rule("tolerations"),
        _networks_rule("cidrs"),
    )

    def problem(self, spec: TenantSpec, total: Mapping[str, int]) -> str:
        """Say which bound a tenant passes, with the value and the bound; else nothing."""
        for resource, most in sorted((self.quota or {}).items()):
            if resource not in total and not quotas.is_device(resource):
                return f"nothing counts {resource}, the bound is {most}"
            count = total.get(resource, 0)
            if count > quantities.units(resource, most):
                asked = quantities.canonical(resource, count)
                return f"quota {resource} is {asked}, the bound is {most}"
        for grant in spec.access or ():
            if self.roles is not None and grant.role not in self.roles:
                return f"access {grant.name} grants {grant.role}, the bound is {_told(self.roles)}"
            for subject in grant.subjects:
                allowed = {"Group": self.groups, "User": self.users}.get(subject.kind)
                if allowed is not None and not self.admits(subject.kind, subject.name):
                    return (
                        f"access {grant.name} names {subject.kind} {subject.name}, the bound is"
                        f" {_told(allowed)}"
                    )
        for toleration in (spec.workloads and spec.workloads.tolerations) or ():
            if self.tolerations is not None and not any(
                _fits(each, toleration.key) for each in self.tolerations
            ):
                return (
                    f"workloads.tolerations has {toleration.key}, the bound is"
                    f" {_told(self.tolerations)}"
                )
        return self._network_problem(spec.network) if spec.network else ""

    def admits(self, kind: str, name: str) -> bool:
        """Tell whether a User or Group of that name may be granted access."""
        allowed = {"Group": self.groups, "User": self.users}.get(kind)
        return allowed is None or any(_fits(each, name) for each in allowed)

    def admits_grant(self, role: Role, kind: str, name: str) -> bool:
        """Tell whether a role may be granted to a subject."""
        return (self.roles is None or role in self.roles) and self.admits(kind, name)

    def admits_peer(self, tenant: str) -> bool:
        """Tell whether a tenant may be another's peer."""
        return self.peers is None or any(_fits(each, tenant) for each in self.peers)

    def _network_problem(self, asked: TenantNetwork) -> str:
        if self.cidrs is not None:
            allowed = [found for each in self.cidrs if (found := addresses.network(each))]
            for opening in asked.openings:
                for each in opening.outsiders:
                    found = each.network
                    if found and not any(addresses.contains(outer, found) for outer in allowed):
                        return (
                            f"opening {opening.name} names {each.cidr}, the bound is"
                            f" {', '.join(self.cidrs) or 'none'}"
                        )
        for peer in asked.peers or ():
            if not self.admits_peer(peer.tenant):
                return f"peer {peer.tenant} is not within the bound, {_told(self.peers or ())}"
        return ""


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _told(allowed: Iterable[str]) -> str:
    return ", ".join(allowed) or "nobody"


def _apart(path: str, what: str, instead: str) -> Rule:
    """Return the rule that addresses which are opened to tenants hold no metadata address."""
    field, _, part = path.partition(".")

    def holds(self: "SettingsSpec") -> bool:
        opened = getattr(getattr(self, snake(field)), part, ())
        return not any(
            _overlap(address, metadata)
            for address in opened
            for metadata in self.metadata_addresses
        )

    return Rule(
        cel=f"!has(self.{field}) || self.{path}.all(a, self.metadataAddresses.all(m, !isCIDR(a)"
        " || !isCIDR(m) || (!cidr(m).containsCIDR(cidr(a)) && !cidr(a).containsCIDR(cidr(m)))))",
        holds=holds,
        message=f"{what} lies in metadataAddresses: tenants would reach the cloud's credentials"
        f" there; {instead}",
        path=f".{path}",
    )


_CONTROLLERS_ARE_KNOWN = tuple(
    f"(!has(self.network.{direction}) || self.network.{direction}.all(o, o.{side}.all(x,"
    " !has(x.ingressController) || has(self.ingressControllers)"
    " && self.ingressControllers.exists(c, c.name == x.ingressController))))"
    for direction, side in (("ingress", "from"), ("egress", "to"))
)


_LEAST_VERIFY_SECONDS = 60


class SettingsSpec(Model):
    """What holds for every tenant."""

    dns: Dns
    """The cluster's DNS: what every tenant may reach."""
    metadata_addresses: Cidrs
    """Addresses at which clouds hand out credentials. No DNS address may lie in them."""
    api_server: ApiServer | None = None
    """Where pods find the API server: left out of openings by cidr, opened by a tenant's
    network.apiServer only. Absent, no tenant's pods reach it by that."""
    node_networks: Cidrs | None = None
    """Networks of the nodes: left out of openings by cidr that do not name them."""
    pod_networks: Cidrs | None = None
    """Networks of the pods: left out of openings by cidr that do not name them, since pods are
    opened by labels, and tenants as peers."""
    agents: (
        Annotated[tuple[Agent, ...], Field(max_length=32, json_schema_extra=listed("map", "name"))]
        | None
    ) = None
    """Programs of the platform that work inside of tenants' namespaces, and what each may write
    there that the tenant may not."""
    network: PlatformNetwork | None = None
    """What is open in every tenant's namespaces."""
    ingress_controllers: (
        Annotated[
            tuple[IngressController, ...],
            Field(max_length=32, json_schema_extra=listed("map", "name")),
        ]
        | None
    ) = None
    """Ingress controllers, by the names that openings use."""
    nodes: SettingsNodes | None = None
    """Which nodes tenants get. Absent: no node is dedicated, and tenants run on every node that
    takes their pods."""
    protected_names: Annotated[
        tuple[ProtectedName, ...], Field(max_length=256, json_schema_extra=listed("set"))
    ]
    """Names that no tenant gets for a namespace, in addition to default, kube-*, openshift-* and
    securetenant-system: a name, or a beginning and an asterisk, like monitoring-*."""
    subject_namespaces: (
        Annotated[
            tuple[Annotated[str, Field(min_length=1, max_length=63)], ...],
            Field(max_length=64, json_schema_extra=listed("set")),
        ]
        | None
    ) = None
    """Namespaces of the platform, like flux-system, whose ServiceAccounts spec.access of a
    SecureTenant may name. No tenant gets a namespace of these names."""
    default_quota: QuotaMap
    """The total of a tenant that names none, and each key that it leaves out."""
    container_limits: PlatformLimits | None = None
    """What holds for the containers of a tenant that does not say."""
    workloads: Workloads | None = None
    """What a tenant gets for each field of spec.workloads that it leaves out."""
    bounds: Bounds | None = None
    """Upper bounds that no SecureTenant may pass; what is absent has no bound."""
    mirror_pods: MirrorPods
    """Pods by which nodes show their static pods."""
    kubelets: Kubelets | None = None
    """How kubelets are read, where tenants ask for a limit of processes."""
    teardowns_per_hour: Annotated[int, Field(ge=0, le=1000, json_schema_extra={"format": "int32"})]
    """How many SecureTenants with deletionPolicy Delete may lose namespaces within an hour, because
    they are deleted or because namespaces leave their list; the next ones wait. A tenant counts
    once, however many namespaces it loses. 0 stops every deletion of a namespace."""
    verify_every_seconds: (
        Annotated[int, Field(ge=0, le=604_800, json_schema_extra={"format": "int32"})] | None
    ) = None
    """How often the isolation of each namespace is verified by trying to break it, in dry-run:
    whenever something changes, and after so many seconds. Absent: 3600. 0: never, and the condition
    IsolationVerified is absent."""
    names_rest_days: (
        Annotated[int, Field(ge=0, le=365, json_schema_extra={"format": "int32"})] | None
    ) = None
    """For how many days no other SecureTenant gets a namespace's name that one had. Absent: 30.
    0: at once, also while a member of the former tenant still watches it."""

    rules = (
        Rule(
            cel="!has(self.verifyEverySeconds) || self.verifyEverySeconds == 0"
            f" || self.verifyEverySeconds >= {_LEAST_VERIFY_SECONDS}",
            holds=lambda self: (
                (self.verify_every_seconds or _LEAST_VERIFY_SECONDS) >= _LEAST_VERIFY_SECONDS
            ),
            message=f"verifyEverySeconds is {_LEAST_VERIFY_SECONDS} or more, like 3600 for once an"
            " hour, or 0 to verify nothing",
            path=".verifyEverySeconds",
        ),
        _networks_rule("metadataAddresses"),
        _networks_rule("nodeNetworks"),
        _networks_rule("podNetworks"),
        _apart("dns.addresses", "a DNS address", "use another DNS server"),
        _apart("apiServer.addresses", "an address of the API server", "name only its addresses"),
        Rule(
            cel="self.protectedNames.all(n, n.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"
            " || n.matches('^[a-z0-9]([-a-z0-9]*)[*]$'))",
            holds=lambda self: all(map(_is_name_or_beginning, self.protected_names)),
            message="a protected name is a namespace's name, like monitoring, or a beginning and"
            " an asterisk, like monitoring-*",
            path=".protectedNames",
        ),
        Rule(
            cel="!has(self.subjectNamespaces) || self.subjectNamespaces.all(n,"
            " n.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))",
            holds=lambda self: all(map(metadata.is_dns_label, self.subject_namespaces or ())),
            message="an entry of subjectNamespaces is the name of one namespace, like flux-system",
            path=".subjectNamespaces",
        ),
        Rule(
            cel="!has(self.subjectNamespaces) || self.subjectNamespaces.all(n,"
            f" n != '{names.OPERATOR_NAMESPACE}' && !n.startsWith('kube-'))",
            holds=lambda self: (
                not any(
                    each == names.OPERATOR_NAMESPACE or each.startswith("kube-")
                    for each in self.subject_namespaces or ()
                )
            ),
            message=f"ServiceAccounts of {names.OPERATOR_NAMESPACE} and of kube-* are the"
            " operator's and Kubernetes' own, which some policies do not judge: run what works in"
            " tenants' namespaces in another namespace",
            path=".subjectNamespaces",
        ),
        Rule(
            cel="!has(self.workloads) || !has(self.workloads.hostnames)",
            holds=lambda self: self.workloads is None or self.workloads.hostnames is None,
            message="host names are each tenant's own: write them into the SecureTenant",
            path=".workloads.hostnames",
        ),
        Rule(
            cel="!has(self.network) || " + " && ".join(_CONTROLLERS_ARE_KNOWN),
            holds=lambda self: (
                {
                    outsider.ingress_controller
                    for opening in (self.network.openings if self.network else ())
                    for outsider in opening.outsiders
                }
                <= {None, *(each.name for each in self.ingress_controllers or ())}
            ),
            message="an opening names an ingress controller that ingressControllers does not have:"
            " add it there, or correct the name",
            path=".network",
        ),
        Rule(
            cel="!has(self.agents) || self.agents.all(a, !has(a.serviceAccount)"
            " || a.serviceAccount.__namespace__.startsWith('kube-')"
            " || a.serviceAccount.__namespace__.startsWith('openshift-')"
            " || self.protectedNames.exists(p, p.endsWith('*')"
            " ? a.serviceAccount.__namespace__.startsWith(p.substring(0, p.size() - 1))"
            " : a.serviceAccount.__namespace__ == p))",
            holds=lambda self: all(
                each.service_account is None
                or each.service_account.namespace.startswith(("kube-", "openshift-"))
                or self.protects(each.service_account.namespace)
                for each in self.agents or ()
            ),
            message="the namespace of an agent's ServiceAccount is not in protectedNames: a tenant"
            " could have it, and be the agent. Add it there",
            path=".agents",
        ),
        *quotas.rules("defaultQuota"),
        quotas.unit_rule("defaultQuota"),
        Rule(
            cel="!has(self.bounds) || !has(self.bounds.quota) || self.defaultQuota.all(k,"
            " !(k in self.bounds.quota) || [self.defaultQuota[k], self.bounds.quota[k]].exists(q,"
            f" string(q).matches('{quantities.LONG}')) || !quantity(string(self.defaultQuota[k]))"
            ".isGreaterThan(quantity(string(self.bounds.quota[k]))))",
            holds=lambda self: all(
                quantities.parse(value) <= quantities.parse(self.bounds.quota[key])
                for key, value in self.default_quota.items()
                if self.bounds and self.bounds.quota and key in self.bounds.quota
            ),
            message="the default quota passes bounds.quota: lower the first or raise the second",
            path=".defaultQuota",
        ),
    )

    @property
    def rest_days(self) -> int:
        """Return for how many days names rest."""
        return names.REST_DAYS if self.names_rest_days is None else self.names_rest_days

    def limits_cpu(self, spec: TenantSpec) -> bool:
        """Tell whether a tenant's containers have a limit of CPU."""
        given = self.container_limits.cpu_limit if self.container_limits else None
        return spec.has_cpu_limit(given or "Required")

    @functools.cached_property
    def credential_networks(self) -> tuple[addresses.Network, ...]:
        """Return where clouds hand out credentials, each once and sorted."""
        return _networks((*names.METADATA_ADDRESSES, *self.metadata_addresses))

    @functools.cached_property
    def kept_networks(self) -> tuple[addresses.Network, ...]:
        """Return what no opening by cidr holds unless its cidr lies within it, sorted."""
        texts = (
            *names.METADATA_ADDRESSES,
            *self.metadata_addresses,
            *(self.api_server.addresses if self.api_server else ()),
            *(self.node_networks or ()),
            *(self.pod_networks or ()),
        )
        return _networks(texts)

    def protects(self, name: str) -> bool:
        """Tell whether no tenant may have a namespace of that name."""
        return name in (self.subject_namespaces or ()) or any(
            name.startswith(each[:-1]) if each.endswith("*") else name == each
            for each in self.protected_names
        )


def _networks(texts: Iterable[str]) -> tuple[addresses.Network, ...]:
    found = (addresses.network(text) for text in texts)
    return addresses.ordered(addresses.with_translated(each for each in found if each))


def _is_name_or_beginning(text: str) -> bool:
    beginning = text.removesuffix("*")
    return metadata.is_dns_label(beginning) or (
        text.endswith("*") and metadata.is_dns_label(beginning + "0")
    )


SETTINGS_NAME_RULE = Rule(
    cel=f"self.metadata.name == '{names.SETTINGS_NAME}'",
    holds=lambda name: name == names.SETTINGS_NAME,
    message=f"there is one TenancySettings, and its name is {names.SETTINGS_NAME}",
)
"""About the object's name, which is not part of the model."""


class Teardown(Model):
    """A tenant that lost namespaces."""

    uid: Annotated[str, Field(min_length=1, max_length=64)]
    """The uid of the SecureTenant."""
    tenant: Annotated[str, Field(max_length=names.TENANT_NAME_LENGTH)]
    """The name of the SecureTenant."""
    began: Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
    """When the first of its namespaces was about to be deleted."""


class FormerName(Model):
    """A namespace's name that a SecureTenant let go, or lost."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """The name of the namespace."""
    tenant: Annotated[str, Field(max_length=63)]
    """The name of the SecureTenant."""
    uid: Annotated[str, Field(max_length=64)]
    """The uid of the SecureTenant; empty where it is not known."""
    since: (
        Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})] | None
    ) = None
    """When the namespace was seen to be gone. Absent while it is there."""


class SettingsStatus(ObservedStatus):
    """What the operator has seen, and what it deleted."""

    teardowns: (
        Annotated[
            tuple[Teardown, ...],
            Field(max_length=1000, json_schema_extra=listed("atomic")),
        ]
        | None
    ) = None
    """Tenants whose namespaces were deleted within the last hour, for spec.teardownsPerHour. The
    operator reads it when it starts."""
    former_names: (
        Annotated[
            tuple[FormerName, ...],
            Field(max_length=2000, json_schema_extra=listed("atomic")),
        ]
        | None
    ) = None
    """Names of namespaces that no other SecureTenant gets yet, for spec.namesRestDays; of more than
    2000, the oldest is forgotten. The operator reads it when it starts."""


class TenancySettings(Model):
    """What the platform team says once for every tenant.

    There is one object, named default; while it is absent the operator changes nothing.
    """

    spec: SettingsSpec
    """What holds for every tenant."""
    status: SettingsStatus | None = None
    """What the operator has seen; only the operator writes it."""
