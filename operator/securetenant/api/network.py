"""What a tenant may exchange with others: openings, and peers among the tenants.

Everything else is denied. An opening is about the platform and the world outside; another
tenant is reached only as a peer, since that takes the agreement of both.
"""

import functools
import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StrictInt, StrictStr

from securetenant.api import addresses, metadata, names
from securetenant.api.addresses import Cidr, Network
from securetenant.api.metadata import LabelValue
from securetenant.api.rules import Model, Rule, listed, snake

Switch = Literal["Allow", "Deny"]
Protocol = Literal["TCP", "UDP", "SCTP"]
Direction = Literal["Ingress", "Egress", "Both"]

SelectorLabels = Annotated[dict[str, LabelValue], Field(max_length=4)]

NAME_LENGTH = 40
"""Leaves room for the beginning of the NetworkPolicy's name within 63 characters."""
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_KEY = "([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_VALUE = "([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"

WIDE_V4, WIDE_V6 = 8, 16
"""Masks below which a network is nearly everybody, so that two halves of 0.0.0.0/0, or all of
the public internet (2000::/3), need a reason like the whole."""
WIDE_TRANSLATED = addresses.TRANSLATED.prefixlen + WIDE_V4
"""The same of IPv4 as a translator from IPv6 makes it."""


_LAST_PORT = 65535
_PORT_NAME = "[a-z0-9](-?[a-z0-9]){0,14}"
_PORT_MESSAGE = (
    "a port is a number from 1 to 65535, or its name in the pods: at most 15 lower-case letters,"
    " digits and '-', like http"
)


def selector_rules(field: str) -> tuple[Rule, ...]:
    """Return the rules about optional labels by which pods or namespaces are selected."""
    return (
        Rule(
            cel=f"!has(self.{field}) || self.{field}.size() > 0",
            holds=lambda self: getattr(self, snake(field)) != {},
            message=f"{field} names at least one label: an empty selector would be everybody",
            path=f".{field}",
        ),
        Rule(
            cel=f"!has(self.{field}) || self.{field}.all(k, k.matches('^{_KEY}$')"
            f" && self.{field}[k].matches('^{_VALUE}$'))",
            holds=lambda self: all(
                re.fullmatch(_KEY, key) and re.fullmatch(_VALUE, value)
                for key, value in (getattr(self, snake(field)) or {}).items()
            ),
            message="a label is like app: web or example.com/team: shop; keys and values have"
            " letters, digits, '-', '_' and '.', and begin and end with a letter or digit",
            path=f".{field}",
        ),
    )


class Port(Model):
    """A port, or consecutive ports, of one protocol."""

    port: Annotated[int, Field(ge=1, le=65535, json_schema_extra={"format": "int32"})]
    """The port of the pods that are reached, or the first of several."""
    end_port: (
        Annotated[int, Field(ge=1, le=65535, json_schema_extra={"format": "int32"})] | None
    ) = None
    """The last of several."""
    protocol: Protocol | None = None
    """TCP (the default), UDP or SCTP."""

    rules = (
        Rule(
            cel="!has(self.endPort) || self.endPort >= self.port",
            holds=lambda self: self.end_port is None or self.end_port >= self.port,
            message="endPort is the last port of a range and not below port: write them the other"
            " way round",
            path=".endPort",
        ),
    )


def _check_port(value: int | str) -> int | str:
    if isinstance(value, int):
        if not 0 < value <= _LAST_PORT:
            raise ValueError(_PORT_MESSAGE)
    elif not re.fullmatch(_PORT_NAME, value) or value.isdigit():
        raise ValueError(_PORT_MESSAGE)
    return value


class OpeningPort(Model):
    """A port, or consecutive ports, of one protocol; or a port by the name that pods give it."""

    port: Annotated[
        StrictInt | StrictStr,
        AfterValidator(_check_port),
        Field(json_schema_extra={"x-kubernetes-int-or-string": True, "maxLength": 15}),
    ]
    """The port of the pods that are reached, or the first of several; or its name in the pods."""
    end_port: (
        Annotated[int, Field(ge=1, le=65535, json_schema_extra={"format": "int32"})] | None
    ) = None
    """The last of several."""
    protocol: Protocol | None = None
    """TCP (the default), UDP or SCTP."""

    @property
    def is_named(self) -> bool:
        """Tell whether it is a name."""
        return isinstance(self.port, str)

    rules = (
        Rule(
            cel="type(self.port) == int ? self.port > 0 && self.port <= 65535 :"
            f" string(self.port).matches('^{_PORT_NAME}$')"
            " && string(self.port).matches('[a-z]')",
            holds=lambda _: True,  # The type has judged already.
            message=_PORT_MESSAGE,
            path=".port",
        ),
        Rule(
            cel="!has(self.endPort) || type(self.port) == int && self.endPort >= self.port",
            holds=lambda self: (
                self.end_port is None or (isinstance(self.port, int) and self.end_port >= self.port)
            ),
            message="endPort is the last port of a range and not below port, which is a number:"
            " write them the other way round",
            path=".endPort",
        ),
    )


OpeningPorts = Annotated[
    tuple[OpeningPort, ...], Field(min_length=1, max_length=32, json_schema_extra=listed("atomic"))
]
Ports = Annotated[
    tuple[Port, ...], Field(min_length=1, max_length=32, json_schema_extra=listed("atomic"))
]


class PodSelector(Model):
    """Some of a namespace's pods."""

    match_labels: SelectorLabels
    """Labels that the pods carry, for example app: web."""

    rules = selector_rules("matchLabels")


class Outsider(Model):
    """Somebody who is no tenant: pods of the platform, an ingress controller, or addresses."""

    ingress_controller: Annotated[str, Field(max_length=63)] | None = None
    """An ingress controller, by its name in TenancySettings."""
    namespace_labels: SelectorLabels | None = None
    """Labels of the platform's namespaces, for example kubernetes.io/metadata.name: monitoring.
    Namespaces of tenants are never meant, whatever labels they carry."""
    pod_labels: SelectorLabels | None = None
    """With namespaceLabels: labels of the pods there; all pods when absent."""
    cidr: Cidr | None = None
    """Addresses, for example 10.20.0.0/16. The metadata services of clouds and the networks that
    TenancySettings keep are left out, unless the cidr lies within one of them."""
    except_: (
        Annotated[
            tuple[Cidr, ...],
            Field(max_length=32, json_schema_extra=listed("atomic")),
        ]
        | None
    ) = Field(default=None, alias="except")
    """With cidr: parts of it that stay closed."""

    rules = (
        Rule(
            cel="[has(self.ingressController), has(self.namespaceLabels), has(self.cidr)]"
            ".filter(e, e).size() == 1",
            holds=lambda self: (
                [self.ingress_controller, self.namespace_labels, self.cidr].count(None) == 2  # noqa: PLR2004 - one of three.
            ),
            message="name somebody by one of ingressController, namespaceLabels (with podLabels)"
            " or cidr (with except); an empty entry would be everybody",
        ),
        Rule(
            cel="!has(self.podLabels) || has(self.namespaceLabels)",
            holds=lambda self: self.pod_labels is None or self.namespace_labels is not None,
            message="podLabels need namespaceLabels, which say where the pods are; the"
            " tenant's own pods are selected by the opening's podSelector",
            path=".podLabels",
        ),
        *selector_rules("namespaceLabels"),
        *selector_rules("podLabels"),
        Rule(
            cel=f"!has(self.cidr) || ({addresses.IS_NETWORK.format('self.cidr')})",
            holds=lambda self: self.cidr is None or addresses.network(self.cidr) is not None,
            message=addresses.MESSAGE,
            path=".cidr",
        ),
        Rule(
            cel="!has(self.except) || has(self.cidr)",
            holds=lambda self: self.except_ is None or self.cidr is not None,
            message="except takes addresses out of a cidr: write the cidr too",
            path=".except",
        ),
        # Two rules, each read as seldom as possible: there may be 100,000 exceptions.
        Rule(
            cel="!has(self.except) || self.except.all(e, !isCIDR(e)"
            " || string(cidr(e).masked()) == e)",
            holds=lambda self: all(map(addresses.network, self.except_ or ())),
            message=addresses.MESSAGE,
            path=".except",
        ),
        Rule(
            cel="!has(self.except) || !has(self.cidr) || !isCIDR(self.cidr) ||"
            " [cidr(self.cidr)].all(c, self.except.all(e, isCIDR(e) && e != self.cidr"
            " && c.containsCIDR(e)))",
            holds=lambda self: all(map(self.is_part, self.except_ or ())),
            message="an exception is a smaller part of the cidr, like 10.20.9.0/24 in"
            " 10.20.0.0/16; to close all of the cidr, leave the entry out",
            path=".except",
        ),
    )

    @functools.cached_property
    def network(self) -> Network | None:
        """Return the cidr as a network."""
        return addresses.network(self.cidr) if self.cidr is not None else None

    def is_part(self, text: str) -> bool:
        """Tell whether a text is a smaller part of the cidr; of what is no cidr, all are."""
        outer, inner = self.network, addresses.network(text)
        return outer is None or (
            inner is not None and inner != outer and addresses.contains(outer, inner)
        )

    @property
    def is_wide(self) -> bool:
        """Tell whether the cidr is nearly everybody."""
        found = self.network
        if found is None:
            return False
        if addresses.contains(addresses.TRANSLATED, found):
            return found.prefixlen < WIDE_TRANSLATED
        return found.prefixlen < (WIDE_V4 if found.version == 4 else WIDE_V6)  # noqa: PLR2004 - IPv4.


Outsiders = Annotated[
    tuple[Outsider, ...], Field(min_length=1, max_length=32, json_schema_extra=listed("atomic"))
]


def _is_label(name: str) -> bool:
    return len(name) <= NAME_LENGTH and metadata.is_dns_label(name)


def _reason_rule(field: str) -> Rule:
    return Rule(
        cel=f"has(self.reason) && self.reason.trim() != '' || self.{field}.all(o, !has(o.cidr)"
        " || !isCIDR(o.cidr) || cidr(o.cidr).prefixLength() >="
        f" (cidr(o.cidr).ip().family() == 4 ? {WIDE_V4} : cidr('{addresses.TRANSLATED}')"
        f".containsCIDR(o.cidr) ? {WIDE_TRANSLATED} : {WIDE_V6}))",
        holds=lambda self: (
            bool((self.reason or "").strip()) or not any(each.is_wide for each in self.outsiders)
        ),
        message="a cidr this wide, like 0.0.0.0/0 or ::/0, is nearly everybody: say why in reason,"
        " or name the networks that are meant",
        path=".reason",
    )


class Opening(Model):
    """One opening between pods of the tenant and somebody who is no tenant."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH)]
    """What you call this opening, for example web; its NetworkPolicies are named after it."""
    ports: OpeningPorts
    """Ports of the pods or addresses that are reached; every TCP port is port: 1, endPort:
    65535."""
    pod_selector: PodSelector | None = None
    """Which of the tenant's pods; all of them when absent."""
    namespaces: (
        Annotated[
            tuple[Annotated[str, Field(max_length=63)], ...],
            Field(max_length=1000, json_schema_extra=listed("atomic")),
        ]
        | None
    ) = None
    """Where: names of the tenant's namespaces. Absent means all of them, [] means none."""
    reason: Annotated[str, Field(max_length=256)] | None = None
    """Why it is needed. Asked for where a cidr is nearly everybody, like 0.0.0.0/0 or ::/0."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.name.matches('^{_LABEL}$')",
            holds=lambda self: _is_label(self.name),
            message=f"an opening's name has at most {NAME_LENGTH} lower-case letters, digits and"
            " '-', and begins and ends with a letter or digit, like web",
            path=".name",
        ),
    )

    @property
    def outsiders(self) -> tuple[Outsider, ...]:
        """Return who is on the other side."""
        raise NotImplementedError


class IngressOpening(Opening):
    """Lets somebody who is no tenant reach pods of the tenant."""

    from_: Outsiders = Field(alias="from")
    """Who may reach the pods."""

    rules = (*Opening.rules, _reason_rule("from"))

    @property
    def outsiders(self) -> tuple[Outsider, ...]:
        """Return who may reach the pods."""
        return self.from_


class EgressOpening(Opening):
    """Lets pods of the tenant reach somebody who is no tenant."""

    to: Outsiders
    """Whom the pods may reach."""

    rules = (
        *Opening.rules,
        _reason_rule("to"),
        Rule(
            cel="self.ports.all(p, type(p.port) == int) || self.to.all(o, !has(o.cidr))",
            holds=lambda self: (
                all(isinstance(each.port, int) for each in self.ports)
                or all(each.cidr is None for each in self.to)
            ),
            message="a port's name is resolved at pods, and addresses have none: write the number",
            path=".ports",
        ),
    )

    @property
    def outsiders(self) -> tuple[Outsider, ...]:
        """Return what the pods may reach."""
        return self.to


class Peer(Model):
    """Traffic with another tenant, open only for what that tenant declares too."""

    tenant: Annotated[str, Field(min_length=1, max_length=names.TENANT_NAME_LENGTH)]
    """The other tenant."""
    direction: Direction
    """Egress: this tenant's pods reach the peer's. Ingress: the reverse. Both."""
    namespaces: Annotated[
        tuple[Annotated[str, Field(max_length=63)], ...],
        Field(min_length=1, max_length=256, json_schema_extra=listed("atomic")),
    ]
    """Namespaces of the other tenant. Which of its own take part, it says itself."""
    ports: Ports
    """Ports of the pods that are reached."""

    rules = (
        Rule(
            cel=f"self.tenant.matches('^{_LABEL}$')",
            holds=lambda self: metadata.is_dns_label(self.tenant),
            message="tenant is the name of another SecureTenant, like beta",
            path=".tenant",
        ),
    )


class PlatformNetwork(Model):
    """What is open in every tenant's namespaces, whatever a tenant declares."""

    ingress: (
        Annotated[
            tuple[IngressOpening, ...],
            Field(max_length=32, json_schema_extra=listed("map", "name")),
        ]
        | None
    ) = None
    """Who may reach pods of all tenants, for example what collects metrics; each entry becomes
    NetworkPolicy securetenant-platform-<name>."""
    egress: (
        Annotated[
            tuple[EgressOpening, ...],
            Field(max_length=32, json_schema_extra=listed("map", "name")),
        ]
        | None
    ) = None
    """Whom pods of all tenants may reach, for example a proxy; each entry becomes NetworkPolicy
    securetenant-platform-<name>."""

    rules = (
        Rule(
            cel="!has(self.ingress) || !has(self.egress)"
            " || self.ingress.all(i, self.egress.all(e, e.name != i.name))",
            holds=lambda self: (
                not {each.name for each in self.ingress or ()}
                & {each.name for each in self.egress or ()}
            ),
            message="an entry of ingress and one of egress have the same name, and would be the"
            " same NetworkPolicy: choose another",
        ),
    )

    @property
    def openings(self) -> tuple[Opening, ...]:
        """Return every opening, of both directions."""
        return (*(self.ingress or ()), *(self.egress or ()))


class TenantNetwork(Model):
    """What may flow. Everything else is denied, but for the cluster's DNS."""

    same_tenant: Switch | None = None
    """Between the tenant's own namespaces: Allow (the default) or Deny. Deny also ends traffic
    within a namespace."""
    api_server: Switch | None = None
    """To the API server, at the addresses that TenancySettings name: Allow, or Deny (the
    default)."""
    ingress: (
        Annotated[
            tuple[IngressOpening, ...],
            Field(max_length=100, json_schema_extra=listed("map", "name")),
        ]
        | None
    ) = None
    """Who may reach the tenant's pods; each entry becomes NetworkPolicy
    securetenant-ingress-<name>."""
    egress: (
        Annotated[
            tuple[EgressOpening, ...],
            Field(max_length=100, json_schema_extra=listed("map", "name")),
        ]
        | None
    ) = None
    """Whom the tenant's pods may reach; each entry becomes NetworkPolicy
    securetenant-egress-<name>."""
    peers: (
        Annotated[
            tuple[Peer, ...],
            Field(max_length=32, json_schema_extra=listed("map", "tenant", "direction")),
        ]
        | None
    ) = None
    """Other tenants. Traffic flows only where both declare it."""

    @property
    def openings(self) -> tuple[Opening, ...]:
        """Return every opening, of both directions."""
        return (*(self.ingress or ()), *(self.egress or ()))
