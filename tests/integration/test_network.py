"""Openings and peers on a real API server: refused, opened, told, withdrawn, removed."""

import contextlib
import copy
import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import standing
from conftest import Ready, settled
from factory import CLOUDS, enough, seen, settings, settings_spec, tenant
from harness import Api, Operator, conditions, wait_for, writes_by_operator
from securetenant.api import kinds, names
from securetenant.checks import imagined
from securetenant.checks.reachability import Namespace, World
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants
from securetenant.sandbox.instances import Instance

HTTPS = [{"port": 443}]
EVERYWHERE = [{"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}]
NETWORK = "a network is an address and a mask without bits beyond it, in its shortest spelling"
ONE_OF = "name somebody by one of ingressController, namespaceLabels (with podLabels) or cidr"
PART = "an exception is a smaller part of the cidr, like 10.20.9.0/24 in 10.20.0.0/16"
SELECTOR = "names at least one label: an empty selector would be everybody"
LABEL = "a label is like app: web or example.com/team: shop"
WIDE = "a cidr this wide, like 0.0.0.0/0 or ::/0, is nearly everybody: say why in reason"
NAME = "an opening's name has at most 40 lower-case letters"


def _egress(**to: Any) -> dict[str, Any]:
    return {"egress": [{"name": "db", "to": [to], "ports": HTTPS}]}


def _opening(**more: Any) -> dict[str, Any]:
    return {"ingress": [{"name": "web", "from": [{"cidr": "10.0.0.0/8"}], "ports": HTTPS, **more}]}


def _peer(**more: Any) -> dict[str, Any]:
    peer = {"tenant": "beta", "direction": "Both", "namespaces": ["beta-a"], "ports": HTTPS}
    return {"peers": [{**peer, **more}]}


@pytest.mark.parametrize(
    ("network", "message"),
    [
        *(
            pytest.param(_egress(cidr=cidr), NETWORK, id=f"cidr {cidr}")
            for cidr in (
                "::ffff:10.0.0.0/104",
                "::ffff:a00:0/104",
                "10.0.0.1/8",
                "10.0.0.0",
                "10.0.0.0/33",
                "10.0.0.0/08",
                "10.0.0.0/255.0.0.0",
                "010.0.0.0/8",
                "fd00:0:0::/48",
                "FD00::/48",
                "fe80::%eth0/64",
                "everywhere",
                "",
            )
        ),
        *(
            pytest.param(_egress(cidr="10.20.0.0/16", **{"except": [part]}), message, id=part)
            for part, message in (
                ("10.21.0.0/24", PART),
                ("10.0.0.0/8", PART),
                ("10.20.0.0/16", PART),
                ("fd00::/64", PART),
                ("10.20.9.1/24", NETWORK),
                ("::ffff:10.20.9.0/120", PART),
                ("10.20.9.0", PART),
            )
        ),
        pytest.param(
            _egress(ingressController="nginx", **{"except": ["10.0.0.0/8"]}),
            "except takes addresses out of a cidr: write the cidr too",
            id="an exception of nothing",
        ),
        pytest.param(_egress(), ONE_OF, id="an empty entry"),
        pytest.param(
            _egress(cidr="10.0.0.0/8", ingressController="nginx"), ONE_OF, id="two in one"
        ),
        pytest.param(_egress(podLabels={"app": "x"}), ONE_OF, id="pods of nowhere"),
        pytest.param(
            _egress(cidr="10.0.0.0/8", podLabels={"app": "x"}),
            "podLabels need namespaceLabels",
            id="pods of a cidr",
        ),
        pytest.param(_egress(namespaceLabels={}), SELECTOR, id="every namespace"),
        pytest.param(
            _egress(namespaceLabels={"a": "b"}, podLabels={}), SELECTOR, id="every pod by mistake"
        ),
        *(
            pytest.param(_egress(namespaceLabels=labels), LABEL, id=f"labels {labels}")
            for labels in ({"a b": "c"}, {"a": "b c"}, {"/a": "b"}, {"a": "-"})
        ),
        pytest.param(
            _egress(namespaceLabels=dict.fromkeys("abcde", "x")),
            "must have at most 4 items",
            id="five labels",
        ),
        pytest.param(_opening(**{"from": []}), "at least 1 items", id="from nobody"),
        pytest.param(_opening(ports=[]), "at least 1 items", id="no ports"),
        pytest.param(_opening(ports=None), "ports: Required value", id="ports not said"),
        *(
            pytest.param(_opening(ports=[port]), message, id=f"port {port}")
            for port, message in (
                ({"port": 0}, "a port is a number from 1 to 65535, or its name"),
                ({"port": 65536}, "a port is a number from 1 to 65535, or its name"),
                ({"port": "Https"}, "a port is a number from 1 to 65535, or its name"),
                ({"port": "80"}, "a port is a number from 1 to 65535, or its name"),
                ({"port": "a--b"}, "a port is a number from 1 to 65535, or its name"),
                ({"port": "http", "endPort": 443}, "endPort is the last port of a range"),
                ({"port": 443, "endPort": 442}, "endPort is the last port of a range"),
                ({"port": 2, "endPort": 1}, "write them the other way round"),
                ({"port": 2, "endPort": 65536}, "less than or equal to 65535"),
                ({"port": 1, "protocol": "ICMP"}, 'supported values: "TCP", "UDP", "SCTP"'),
                ({"port": 1, "protocol": "tcp"}, 'supported values: "TCP", "UDP", "SCTP"'),
                ({"port": 1, "protocol": ""}, 'supported values: "TCP", "UDP", "SCTP"'),
            )
        ),
        pytest.param(
            {"egress": [{"name": "x", "to": [{"cidr": "10.0.0.0/8"}], "ports": [{"port": "pg"}]}]},
            "a port's name is resolved at pods, and addresses have none: write the number",
            id="the name of a port at an address",
        ),
        *(
            pytest.param(_opening(**{"from": [{"cidr": cidr}], **reason}), WIDE, id=f"{cidr} {why}")
            for cidr in ("0.0.0.0/0", "::/0", "128.0.0.0/1", "2000::/3", "64:ff9b::/96")
            for why, reason in (("unsaid", {}), ("blank", {"reason": " "}))
        ),
        *(
            pytest.param(_opening(name=name), NAME, id=f"name {name}")
            for name in ("Web", "a.b", "-web", "web-", "a b")
        ),
        pytest.param(_opening(name="x" * 41), "may not be more than 40", id="long name"),
        pytest.param(_opening(podSelector={}), "matchLabels: Required value", id="selector"),
        pytest.param(_opening(podSelector={"matchLabels": {}}), SELECTOR, id="empty selector"),
        pytest.param(
            {"ingress": _opening()["ingress"] * 2}, 'Duplicate value: {"name":"web"}', id="twice"
        ),
        pytest.param(_peer(tenant="alpha"), "a tenant is no peer of itself", id="peer with itself"),
        pytest.param(_peer(namespaces=[]), "at least 1 items", id="peer nowhere"),
        pytest.param(_peer(namespaces=None), "namespaces: Required value", id="peer unsaid"),
        pytest.param(_peer(ports=[]), "at least 1 items", id="peer without ports"),
        pytest.param(
            _peer(direction="None"), 'supported values: "Ingress", "Egress", "Both"', id="direction"
        ),
        pytest.param(_peer(tenant="Beta"), "the name of another SecureTenant", id="peer's name"),
        pytest.param(_peer(tenant=""), "at least 1 chars long", id="peer without name"),
        pytest.param({"peers": [{}]}, "tenant: Required value", id="empty peer"),
        pytest.param({"peers": _peer()["peers"] * 2}, "Duplicate value", id="peer twice"),
        pytest.param(
            {"apiServer": "Maybe"}, 'supported values: "Allow", "Deny"', id="the API server"
        ),
    ],
)
def test_a_bad_network_is_refused_with_what_to_write_instead(
    network: dict[str, Any], message: str, admin: Api
) -> None:
    body = tenant("alpha", network=_without_nothing(network))
    answer = admin.create(kinds.SECURE_TENANT, body, dryRun="All", fieldValidation="Strict")
    assert 400 <= answer.status < 500
    assert message in answer.message


def _without_nothing(value: Any) -> Any:
    """Return the value without the keys whose value is None: fields that are not said."""
    if isinstance(value, dict):
        return {key: _without_nothing(each) for key, each in value.items() if each is not None}
    return [_without_nothing(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        *(
            pytest.param({field: ["10.0.0.1/8"]}, NETWORK, id=field)
            for field in ("nodeNetworks", "podNetworks")
        ),
        pytest.param({"apiServer": {"addresses": ["10.0.0.1"], "ports": [443]}}, NETWORK, id="api"),
        pytest.param(
            {"apiServer": {"addresses": ["169.254.0.0/16"], "ports": [443]}},
            "an address of the API server lies in metadataAddresses",
            id="api at the metadata service",
        ),
        pytest.param(
            {"apiServer": {"addresses": [], "ports": []}}, "at least 1 items", id="api ports"
        ),
        pytest.param(
            {"network": _opening(**{"from": [{"ingressController": "nobody"}]})},
            "an ingress controller that ingressControllers does not have",
            id="an unknown controller for all",
        ),
        pytest.param(
            {"network": {**_opening(), "egress": [{**_egress()["egress"][0], "name": "web"}]}},
            "would be the same NetworkPolicy",
            id="one name twice",
        ),
        pytest.param({"network": _opening(**{"from": [{"cidr": "0.0.0.0/0"}]})}, WIDE, id="all"),
        pytest.param({"network": {"sameTenant": "Deny"}}, "unknown field", id="a tenant's field"),
        pytest.param(
            {"verifyEverySeconds": 59},
            "verifyEverySeconds is 60 or more, like 3600 for once an hour, or 0",
            id="a verification all the time",
        ),
        pytest.param({"bounds": {"cidrs": ["::ffff:1.2.3.0/120"]}}, NETWORK, id="bounds.cidrs"),
        pytest.param(
            {"bounds": {"peers": ["a*b"]}}, "an entry of peers is a name", id="bounds.peers"
        ),
        pytest.param(
            {"ingressControllers": [{"name": "x", "namespaceLabels": {}, "podLabels": {"a": "b"}}]},
            SELECTOR,
            id="a controller everywhere",
        ),
        pytest.param(
            {"ingressControllers": [{"name": "x", "namespaceLabels": {"a": "b"}, "podLabels": {}}]},
            SELECTOR,
            id="a controller that is every pod",
        ),
        pytest.param(
            {"ingressControllers": [{"name": "x", "namespaceLabels": {"a": "b"}}]},
            "podLabels: Required value",
            id="a controller without pods",
        ),
    ],
)
def test_bad_settings_are_refused(spec: dict[str, Any], message: str, admin: Api) -> None:
    body = settings(**spec)
    answer = admin.create(kinds.TENANCY_SETTINGS, body, dryRun="All", fieldValidation="Strict")
    assert 400 <= answer.status < 500
    assert message in answer.message


def _large(exceptions: int) -> dict[str, Any]:
    """Return 100 openings of 32 addresses with so many exceptions each, and 32 peers."""
    to = [
        {"cidr": f"{10 + n}.0.0.0/8", "except": [f"{10 + n}.{e}.0.0/16" for e in range(exceptions)]}
        for n in range(32)
    ]
    return {
        "egress": [{"name": f"o{n}", "to": to, "ports": HTTPS} for n in range(100)],
        "peers": [
            {"tenant": f"t{n}", "direction": "Both", "namespaces": ["x"], "ports": HTTPS}
            for n in range(32)
        ],
    }


def test_the_largest_network_is_accepted(admin: Api) -> None:
    """100 openings, 32 entries each, 32 exceptions each, 32 peers, 1,000 namespaces."""
    spaces = [{"name": f"large-{number}"} for number in range(1000)]
    body = tenant("large", namespaces=spaces, network=_large(32))
    admin.create(kinds.SECURE_TENANT, body, dryRun="All", fieldValidation="Strict").ok()


# --- both judges --------------------------------------------------------------------------------

texts = st.sampled_from(["web", "", "Web", "a-b", "x" * 41, "a.b"])
cidrs = st.one_of(
    st.sampled_from(
        [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.0.0.0/16",
            "10.0.0.1/8",
            "::/0",
            "fd00::/8",
            "fd00::/64",
            "::ffff:10.0.0.0/104",
            "::1.2.3.4/128",
            "::102:304/128",
            "64.0.0.0/7",
            "10.0.0.0",
            "",
        ]
    ),
    st.ip_addresses().map(lambda address: f"{address}/{address.max_prefixlen}"),
    st.builds("{}/{}".format, st.ip_addresses(v=6), st.integers(0, 130)),
    st.builds("{}.0.0.0/{}".format, st.integers(0, 256), st.integers(0, 33)),
)
labels = st.dictionaries(
    st.sampled_from(["app", "a b", "example.com/team", "/x", "a/b/c", "A/b", "k8s.io/x", "a."]),
    st.sampled_from(["x", "", "a b", "-", "x.y", "é"]),
    max_size=2,
)
outsiders = st.fixed_dictionaries(
    {},
    optional={
        "cidr": cidrs,
        "except": st.lists(cidrs, max_size=2),
        "ingressController": st.sampled_from(["nginx", ""]),
        "namespaceLabels": labels,
        "podLabels": labels,
    },
)
ports = st.lists(
    st.fixed_dictionaries(
        {"port": st.integers(-1, 3)},
        optional={
            "endPort": st.integers(0, 4),
            "protocol": st.sampled_from(["TCP", "SCTP", "ICMP"]),
        },
    ),
    max_size=2,
)


def _openings(side: str) -> st.SearchStrategy[Any]:
    return st.lists(
        st.fixed_dictionaries(
            {"name": texts, side: st.lists(outsiders, max_size=2), "ports": ports},
            optional={
                "reason": st.sampled_from(["", " ", "why"]),
                "podSelector": st.fixed_dictionaries({"matchLabels": labels}),
                "namespaces": st.lists(texts, max_size=1),
            },
        ),
        max_size=1,
    )


networks: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "apiServer": st.sampled_from(["Allow", "No"]),
        "ingress": _openings("from"),
        "egress": _openings("to"),
        "peers": st.lists(
            st.fixed_dictionaries(
                {
                    "tenant": st.sampled_from(["alpha", "beta", "Beta", ""]),
                    "direction": st.sampled_from(["Both", "Egress", "None"]),
                    "namespaces": st.lists(texts, max_size=1),
                    "ports": ports,
                }
            ),
            max_size=2,
            unique_by=lambda each: (each["tenant"], each["direction"]),
        ),
    },
)


@given(network=networks)
def test_the_operator_and_the_api_server_agree_on_every_network(
    network: dict[str, Any], admin: Api
) -> None:
    body = tenant("alpha", network=copy.deepcopy(network))
    answer = admin.create(kinds.SECURE_TENANT, body, dryRun="All", fieldValidation="Strict")
    known = Tenants()
    known.see("alpha", seen(body))
    known.read("alpha", settings_spec(), Store())
    record = known.get("alpha")
    assert record is not None
    accepted = answer.status < 300
    assert accepted == (not record.is_refused), f"{answer.message!r} and {record.findings!r}"


# --- in a cluster -------------------------------------------------------------------------------


def _condition(admin: Api, name: str) -> dict[str, Any]:
    return dict(conditions(admin.get(kinds.SECURE_TENANT, name)).get("NetworkIsolated", {}))


def _told(admin: Api, name: str, reason: str) -> dict[str, Any]:
    """Wait until NetworkIsolated has the reason; return it."""
    wait_for(
        lambda: _condition(admin, name).get("reason") == reason,
        what=f"NetworkIsolated of {name} to be {reason}",
    )
    return _condition(admin, name)


def _policy(admin: Api, namespace: str, name: str) -> Any:
    return admin.get(kinds.NETWORK_POLICY, f"securetenant-{name}", namespace)


def cut_out(version: int) -> list[str]:
    """Return the addresses of clouds that are cut out of every wide network of a version."""
    found = [each for each in map(ipaddress.ip_network, CLOUDS.values()) if each.version == version]
    return [str(each) for each in sorted(found)]


def test_openings_come_and_go_with_their_entries(
    admin: Api, operator: Operator, ready: Ready
) -> None:
    opening = {"name": "out", "to": EVERYWHERE, "ports": HTTPS, "reason": "updates"}
    ready(tenant("opener", network={"egress": [opening], **_opening()}))
    made = _policy(admin, "opener-a", "egress-out")
    (rule,) = made["spec"]["egress"]
    assert rule["to"] == [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": cut_out(4)}},
        {"ipBlock": {"cidr": "::/0", "except": cut_out(6)}},
    ]
    annotation = made["metadata"]["annotations"]["securetenant.io/declared-in"]
    assert annotation == "spec.network.egress out"
    assert _policy(admin, "opener-b", "ingress-web")
    ready(tenant("opener", network=_opening()))
    assert _policy(admin, "opener-a", "egress-out") is None
    assert _policy(admin, "opener-a", "ingress-web")


def test_the_widest_opening_passes_the_fence(admin: Api, operator: Operator, ready: Ready) -> None:
    """The fence looks for the cloud's credentials in each network: that must stay affordable."""
    parts = [f"{200 + number}.0.0.0/8" for number in range(32)]
    to = [{"cidr": "128.0.0.0/1", "except": parts}] * 32
    opening = {"name": "wide", "to": to, "ports": HTTPS * 32, "reason": "the largest there is"}
    ready(tenant("widest", namespaces=[{"name": "widest-a"}], network={"egress": [opening]}))
    (rule,) = _policy(admin, "widest-a", "egress-wide")["spec"]["egress"]
    assert [len(each["ipBlock"]["except"]) for each in rule["to"]] == [37] * 32


def test_a_peer_opens_only_when_both_agree_and_closes_when_one_withdraws(
    admin: Api, operator: Operator, ready: Ready
) -> None:
    asks = {**_peer()["peers"][0], "tenant": "shop", "namespaces": ["shop-a"]}
    gives = {**_peer()["peers"][0], "tenant": "till", "namespaces": ["till-b"]}
    ready(tenant("shop"))
    ready(tenant("till", network={"peers": [{**asks, "direction": "Egress"}]}))
    for name in ("shop", "till"):
        found = _told(admin, name, "PeerMissing")
        assert found["status"] == "True"
        assert (
            "till declares traffic from till to shop, shop has to declare it too:"
            " spec.network.peers {tenant: till, direction: Ingress, namespaces: [till-a, till-b],"
            " ports: [{port: 443}]}"
        ) in found["message"]
        settled(admin, name)
    assert _policy(admin, "till-b", "peer-shop") is None
    ready(tenant("shop", network={"peers": [{**gives, "direction": "Ingress"}]}))
    wait_for(lambda: _policy(admin, "till-b", "peer-shop") is not None, what="the opening")
    wait_for(lambda: _policy(admin, "shop-a", "peer-till") is not None, what="the other side")
    settled(admin, "till")
    assert _policy(admin, "till-a", "peer-shop") is None, "shop names till-b alone"
    for name in ("shop", "till"):
        _told(admin, name, "AsSpecified")
    ready(tenant("till"))
    wait_for(lambda: _policy(admin, "shop-a", "peer-till") is None, what="the withdrawal")
    assert _policy(admin, "till-b", "peer-shop") is None


def test_a_peer_that_does_not_exist_is_told_and_hinders_nothing(
    admin: Api, operator: Operator, ready: Ready
) -> None:
    ready(tenant("hopeful", network=_peer(tenant="nobody")))
    found = _condition(admin, "hopeful")
    assert (found["status"], found["reason"]) == ("True", "PeerMissing")
    assert "there is no tenant nobody: create it, or correct the name in peers" in found["message"]


def test_an_unknown_ingress_controller_is_told_with_the_known_ones(
    admin: Api, operator: Operator
) -> None:
    network = _opening(**{"from": [{"ingressController": "ngnix"}]})
    admin.create(kinds.SECURE_TENANT, tenant("typo", network=network)).ok()
    settled(admin, "typo", expected="Failed")
    found = _condition(admin, "typo")
    assert found["reason"] == "NotInSettings"
    assert (
        "TenancySettings do not know ingress controller ngnix (opening web). They know"
        in (found["message"])
    )


@contextlib.contextmanager
def _settings(admin: Api, **spec: Any) -> Iterator[None]:
    """Say more in TenancySettings for a while."""
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": spec}).ok()
    try:
        yield
    finally:
        nothing = {"spec": dict.fromkeys(spec)}
        admin.patch(kinds.TENANCY_SETTINGS, "default", nothing).ok()


def test_what_the_platform_says_later_opens_what_was_asked_for(
    admin: Api, operator: Operator
) -> None:
    """No spec of a tenant is touched: settings are watched."""
    network = {**_opening(**{"from": [{"ingressController": "envoy"}]}), "apiServer": "Allow"}
    admin.create(kinds.SECURE_TENANT, tenant("patient", network=network)).ok()
    settled(admin, "patient", expected="Failed")
    assert _policy(admin, "patient-a", "ingress-web") is None
    assert _policy(admin, "patient-a", "api-server") is None
    controller = {"name": "envoy", "namespaceLabels": {"a": "b"}, "podLabels": {"c": "d"}}
    server = {"addresses": ["10.96.0.1/32"], "ports": [443]}
    with _settings(admin, ingressControllers=[controller], apiServer=server):
        wait_for(lambda: _policy(admin, "patient-a", "ingress-web"), what="the opening")
        wait_for(lambda: _policy(admin, "patient-b", "api-server"), what="the API server")
        settled(admin, "patient")
    wait_for(
        lambda: _policy(admin, "patient-b", "api-server") is None, what="the API server to close"
    )


def test_e10_what_the_platform_opens_for_all_is_in_each_namespace_and_stays(
    admin: Api, breaker: Api, operator: Operator, ready: Ready, sandbox: Instance
) -> None:
    """Also where its network is beyond the bounds, which are for what tenants ask."""
    scrape = {
        "name": "scrape",
        "from": [{"namespaceLabels": {"kubernetes.io/metadata.name": "monitoring"}}],
        "ports": [{"port": 9100}],
        "namespaces": ["everyone-a"],
    }
    proxy = {
        "name": "proxy",
        "to": [{"cidr": "192.0.2.0/24"}],
        "ports": [{"port": 3128}],
        "namespaces": ["everyone-a"],
    }
    grant = {
        "name": "all",
        "role": "Admin",
        "subjects": [{"kind": "Group", "name": "everyone-members"}],
    }
    body = tenant("everyone", access=[grant])
    opened = {"ingress": [scrape], "egress": [proxy]}
    with _settings(admin, network=opened, bounds={"cidrs": ["10.0.0.0/8"]}):
        ready(body)
        wait_for(lambda: _policy(admin, "everyone-a", "platform-scrape"), what="the scraper")
        wait_for(lambda: _policy(admin, "everyone-a", "platform-proxy"), what="the proxy")
        assert _policy(admin, "everyone-b", "platform-scrape") is None
        made = _policy(admin, "everyone-a", "platform-scrape")
        assert made["metadata"]["annotations"] == {
            "securetenant.io/declared-in": "TenancySettings spec.network.ingress scrape"
        }
        (rule,) = made["spec"]["ingress"]
        (peer,) = rule["from"]
        assert peer["namespaceSelector"]["matchExpressions"] == [
            {"key": "securetenant.io/tenant", "operator": "DoesNotExist"}
        ]
        effective = admin.get(kinds.TENANT_POLICY, "effective", "everyone-a")["spec"]["network"]
        assert effective["platform"] == [
            "securetenant-platform-proxy",
            "securetenant-platform-scrape",
        ]
        path = f"{kinds.NETWORK_POLICY.path('everyone-a')}/securetenant-platform-scrape"
        member = standing.member(sandbox, "everyone")
        assert "securetenant-managed" in member.call("DELETE", path).message
        breaker.call("DELETE", path).ok()
        wait_for(lambda: _policy(admin, "everyone-a", "platform-scrape"), what="it to come back")

    # In its turn: every tenant of the control plane follows the settings before or after it.
    def closed() -> bool:
        return _policy(admin, "everyone-a", "platform-proxy") is None

    try:
        wait_for(closed, what="the proxy to close")
    except AssertionError:
        # Tenants of other files may hold the roll-out up: it is asked to go on.
        rolling = admin.get(kinds.TENANCY_SETTINGS, "default")["status"]
        asked = {"metadata": {"annotations": {names.REQUESTED_ANNOTATION: "everyone"}}}
        admin.patch(kinds.TENANCY_SETTINGS, "default", asked).ok()
        wait_for(closed, what=f"the proxy to close, which was held up by {rolling}", seconds=30)


def _agreed(name: str, other: str) -> dict[str, Any]:
    peer = {**_peer()["peers"][0], "tenant": other, "namespaces": [f"{other}-a"]}
    return tenant(name, network={"peers": [peer]})


def test_what_is_live_lets_through_what_is_agreed_alone(
    admin: Api, operator: Operator, ready: Ready
) -> None:
    """Judged from the objects in the cluster, whoever wrote them, for whatever pods are made."""
    ready(_agreed("castor", "pollux"))
    ready(_agreed("pollux", "castor"))
    ready(_agreed("helena", "castor"))
    wait_for(lambda: _policy(admin, "castor-a", "peer-pollux"), what="the opening of castor")
    wait_for(lambda: _policy(admin, "pollux-a", "peer-castor"), what="the opening of pollux")
    spaces = [
        Namespace(name=each["metadata"]["name"], labels=each["metadata"]["labels"])
        for each in admin.list(kinds.NAMESPACE)
    ]
    policies = admin.list(kinds.NETWORK_POLICY)
    world = World(spaces, imagined.pods(spaces, policies), policies)
    ours = ("castor", "pollux", "helena")
    found = {
        (flow.source.namespace, flow.target.namespace, ", ".join(map(str, flow.ports)))
        for flow in world.crossings()
        if flow.source.tenant in ours or flow.target.tenant in ours
    }
    dns = {
        (namespace, "kube-system", "TCP 53, UDP 53")
        for name in ours
        for namespace in (f"{name}-a", f"{name}-b")
    }
    peers = {("castor-a", "pollux-a", "TCP 443"), ("pollux-a", "castor-a", "TCP 443")}
    assert found == peers | dns


def test_a_restart_keeps_peers_open(
    sandbox: Instance, admin: Api, operator: Operator, ready: Ready
) -> None:
    """A peer that was not read yet after a restart must not look like one that withdrew."""
    ready(_agreed("romulus", "remus"))
    ready(_agreed("remus", "romulus"))
    wait_for(lambda: _policy(admin, "remus-a", "peer-romulus"), what="the peer")
    wait_for(lambda: _policy(admin, "romulus-a", "peer-remus"), what="the other side")
    settled(admin, "romulus")
    before = _policy(admin, "romulus-a", "peer-remus")["metadata"]
    assert operator.stop() == 0
    operator.start()
    # Something new, so that the operator has read every tenant when it is there.
    ready(tenant("numa"))
    after = _policy(admin, "romulus-a", "peer-remus")["metadata"]
    assert (after["uid"], after["resourceVersion"]) == (before["uid"], before["resourceVersion"])
    deleted = [
        event["objectRef"]["name"]
        for event in writes_by_operator(sandbox)
        if event["verb"] == "delete" and event["objectRef"].get("namespace") == "romulus-a"
    ]
    assert deleted == []


def test_a_quota_is_made_after_what_it_counts_and_grows_before_what_needs_room(
    ready: Ready, sandbox: Instance
) -> None:
    """Each NetworkPolicy that a quota sees being made costs the API server a write of its own."""

    def written(seen: int) -> list[str]:
        return [
            event["objectRef"]["resource"]
            for event in writes_by_operator(sandbox)[seen:]
            if event["objectRef"].get("namespace") == "counted-a"
            and event["objectRef"]["resource"] in ("networkpolicies", "resourcequotas")
        ]

    def body(number: int) -> dict[str, Any]:
        one = _egress(cidr="10.20.0.0/16")["egress"][0]
        openings = [{**one, "name": f"o{each}"} for each in range(number)]
        return tenant("counted", namespaces=[{"name": "counted-a"}], network={"egress": openings})

    ready(body(4))
    assert written(0) == [*["networkpolicies"] * 7, "resourcequotas"]
    seen = len(writes_by_operator(sandbox))
    ready(body(20))
    assert written(seen) == ["resourcequotas", *["networkpolicies"] * 16]


def test_a_quota_that_is_missing_where_pods_may_come_is_made_first(
    admin: Api, breaker: Api, ready: Ready, operator: Operator, sandbox: Instance
) -> None:
    """Whoever has access there would otherwise have no bound while the rest is written."""

    def body(number: int) -> dict[str, Any]:
        one = _egress(cidr="10.20.0.0/16")["egress"][0]
        openings = [{**one, "name": f"o{each}"} for each in range(number)]
        return tenant("bare", namespaces=[{"name": "bare-a"}], network={"egress": openings})

    ready(body(1))
    assert operator.stop() == 0
    breaker.delete(kinds.RESOURCE_QUOTA, names.QUOTA, "bare-a").ok()
    admin.apply(kinds.SECURE_TENANT, body(9), manager="test").ok()
    seen = len(writes_by_operator(sandbox))
    operator.start()
    ready(body(9))
    written = [
        event["objectRef"]["resource"]
        for event in writes_by_operator(sandbox)[seen:]
        if event["objectRef"].get("namespace") == "bare-a"
    ]
    assert [each for each in written if each in ("networkpolicies", "resourcequotas")] == [
        "resourcequotas",
        *["networkpolicies"] * 8,
    ]


def test_what_is_withdrawn_closes_in_every_namespace_before_anything_else_is_written(
    ready: Ready, sandbox: Instance
) -> None:
    spaces = [{"name": f"closes-{number}"} for number in range(64)]
    body = tenant("closes", namespaces=spaces, quota=enough(64))
    network = _egress(cidr="10.20.0.0/16")
    ready({**body, "spec": {**body["spec"], "network": network}})
    seen = len(writes_by_operator(sandbox))
    ready(body)
    verbs = [
        event["verb"]
        for event in writes_by_operator(sandbox)[seen:]
        if str(event["objectRef"].get("namespace")).startswith("closes-")
    ]
    assert verbs.count("delete") == 64
    # Thirty-two are worked on at a time; when the last ones come, the first may go on.
    assert set(verbs[:40]) == {"delete"}
