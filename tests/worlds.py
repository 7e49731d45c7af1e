"""Generated worlds: namespaces, pods and policies that touch each other as often as possible."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from securetenant.checks.reachability import Namespace, Pod

TENANT = "t"
SPACES = ("a-1", "a-2", "b-1", "p-1")
KEYS, VALUES = ("k", "m"), ("x", "y")
PORTS = (1, 80, 81, 82, 443, 65535)
PROTOCOLS = ("TCP", "UDP", "SCTP")
CIDRS = ("0.0.0.0/0", "10.0.0.0/30", "10.0.0.4/30", "10.0.0.2/32", "::/0", "fd00::/126")
ADDRESSES = (*(f"10.0.0.{number}" for number in range(8)), "fd00::1", "fd00::5")
NAMES = ("web", "dns")

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2)
expressions = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from((*KEYS, TENANT)),
        st.sampled_from(("In", "NotIn")),
        st.lists(st.sampled_from((*VALUES, "a", "b")), min_size=1, max_size=2),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from((*KEYS, TENANT)),
        st.sampled_from(("Exists", "DoesNotExist")),
    ),
)
selectors = st.fixed_dictionaries(
    {},
    optional={"matchLabels": labels, "matchExpressions": st.lists(expressions, max_size=2)},
)
peers = st.one_of(
    st.fixed_dictionaries({"podSelector": selectors}),
    st.fixed_dictionaries({"namespaceSelector": selectors}, optional={"podSelector": selectors}),
    st.fixed_dictionaries(
        {
            "ipBlock": st.fixed_dictionaries(
                {"cidr": st.sampled_from(CIDRS)},
                optional={"except": st.lists(st.sampled_from(CIDRS[1:]), max_size=2)},
            )
        }
    ),
)


def _numbered(first: int, last: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"port": min(first, last)}
    return entry if first == last else {**entry, "endPort": max(first, last)}


ports = st.builds(
    lambda port, protocol: {**port, **protocol},
    st.one_of(
        st.just({}),
        st.builds(_numbered, st.sampled_from(PORTS), st.sampled_from(PORTS)),
        st.builds(lambda name: {"port": name}, st.sampled_from(NAMES)),
    ),
    st.fixed_dictionaries({}, optional={"protocol": st.sampled_from(PROTOCOLS)}),
)


def _rules(side: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.fixed_dictionaries(
            {}, optional={side: st.lists(peers, max_size=2), "ports": st.lists(ports, max_size=2)}
        ),
        max_size=2,
    )


policies = st.lists(
    st.builds(
        lambda namespace, spec: {"namespace": namespace, "spec": spec},
        st.sampled_from(SPACES),
        st.fixed_dictionaries(
            {"podSelector": st.one_of(st.just({}), selectors)},
            optional={
                "policyTypes": st.lists(
                    st.sampled_from(("Ingress", "Egress")), unique=True, max_size=2
                ),
                "ingress": _rules("from"),
                "egress": _rules("to"),
            },
        ),
    ),
    max_size=6,
)
pods = st.lists(
    st.builds(
        lambda namespace, found, addresses, named, host: (namespace, found, addresses, named, host),
        st.sampled_from(SPACES),
        labels,
        st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True),
        st.dictionaries(
            st.tuples(st.sampled_from(PROTOCOLS), st.sampled_from(NAMES)),
            st.sampled_from(PORTS),
            max_size=2,
        ),
        st.sampled_from((False, False, False, True)),
    ),
    min_size=1,
    max_size=6,
)
spaces = st.fixed_dictionaries(dict.fromkeys(SPACES, labels))


def owner(name: str) -> str:
    return {"a": "a", "b": "b"}.get(name[0], "")


# --- ClusterNetworkPolicies -----------------------------------------------------------------------

_namespaced = st.fixed_dictionaries(
    {"podSelector": selectors}, optional={"namespaceSelector": selectors}
)
_port = st.one_of(
    st.builds(lambda number: {"number": number}, st.sampled_from(PORTS)),
    st.builds(
        lambda ends: {"range": {"start": min(ends), "end": max(ends)}},
        st.lists(st.sampled_from(PORTS), min_size=2, max_size=2, unique=True),
    ),
)
_protocols = st.lists(
    st.one_of(
        st.builds(
            lambda protocol, port: {protocol: {"destinationPort": port}},
            st.sampled_from(("tcp", "udp", "sctp")),
            _port,
        ),
        st.builds(lambda name: {"destinationNamedPort": name}, st.sampled_from(NAMES)),
    ),
    min_size=1,
    max_size=2,
)
_within = st.one_of(
    # Often everybody, so that policies meet.
    st.just({"namespaces": {}}),
    st.builds(lambda found: {"namespaces": found}, selectors),
    st.builds(lambda found: {"pods": found}, _namespaced),
)
_networks = st.builds(
    lambda found: {"networks": found},
    st.lists(st.sampled_from(CIDRS), min_size=1, max_size=2, unique=True),
)


def _tier_rules(
    side: str, peers: st.SearchStrategy[dict[str, Any]]
) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.fixed_dictionaries(
            {
                "action": st.sampled_from(("Accept", "Deny", "Pass")),
                side: st.lists(peers, min_size=1, max_size=2),
            },
            optional={"protocols": _protocols},
        ),
        max_size=2,
    )


cluster_policies = st.lists(
    st.fixed_dictionaries(
        {
            "tier": st.sampled_from(("Admin", "Baseline")),
            # Few, so that policies often have the same one.
            "priority": st.sampled_from((0, 5)),
            "subject": _within,
            "ingress": _tier_rules("from", _within),
            "egress": _tier_rules("to", st.one_of(_within, _networks)),
        },
    ),
    max_size=3,
)


@dataclasses.dataclass(frozen=True)
class Generated:
    """A world as a test sees it."""

    labels: Mapping[str, dict[str, str]]
    """Of the namespaces."""
    pods: tuple[Pod, ...]
    policies: tuple[dict[str, Any], ...]
    cluster: tuple[dict[str, Any], ...]

    @property
    def namespaces(self) -> list[Namespace]:
        """Return the namespaces."""
        return [Namespace(name=name, labels=found) for name, found in self.labels.items()]


def owned(space_labels: Mapping[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return the labels of namespaces, and whose they are."""
    return {
        name: {**found, **({TENANT: owner(name)} if owner(name) else {})}
        for name, found in space_labels.items()
    }


def bodies(raw: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return NetworkPolicies with names."""
    return tuple(
        {"metadata": {"namespace": each["namespace"], "name": f"p{number}"}, "spec": each["spec"]}
        for number, each in enumerate(raw)
    )


def running(raw: Any) -> tuple[Pod, ...]:
    """Return pods with names."""
    return tuple(
        Pod(
            namespace=namespace,
            name=f"pod{number}",
            labels=found,
            addresses=tuple(addresses),
            ports=named,
            host_network=host,
        )
        for number, (namespace, found, addresses, named, host) in enumerate(raw)
    )


worlds = st.builds(
    lambda space_labels, raw_pods, raw_policies, raw_cluster: Generated(
        owned(space_labels),
        running(raw_pods),
        bodies(raw_policies),
        tuple(
            {"metadata": {"name": f"c{number}"}, "spec": spec}
            for number, spec in enumerate(raw_cluster)
        ),
    ),
    spaces,
    pods,
    policies,
    cluster_policies,
)
