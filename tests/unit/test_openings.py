"""Openings and the API server: what becomes of them, and what is cut out of them."""

import ipaddress
from typing import Any

import pytest

from factory import CLOUDS, seen, settings_spec, tenant
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired import network
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Record, Tenants

METADATA = [
    "100.100.100.200/32",
    "168.63.129.16/32",
    "169.254.0.23/32",
    "169.254.42.42/32",
    "169.254.169.254/32",
    "192.0.0.192/32",
]
METADATA_V6 = [
    "64:ff9b::6464:64c8/128",
    "64:ff9b::a83f:8110/128",
    "64:ff9b::a9fe:17/128",
    "64:ff9b::a9fe:2a2a/128",
    "64:ff9b::a9fe:a9fe/128",
    "64:ff9b::c000:c0/128",
    "fd00:42::42/128",
    "fd00:c1::a9fe:a9fe/128",
    "fd00:100::100:200/128",
    "fd00:ec2::254/128",
    "fd00:a9fe:a9fe::1/128",
    "fd20:ce::254/128",
    "fe80::a9fe:a9fe/128",
]
HTTPS = [{"port": 443}]
NGINX = {
    "name": "nginx",
    "namespaceLabels": {"kubernetes.io/metadata.name": "ingress-nginx"},
    "podLabels": {"app": "nginx"},
}
NO_TENANT = [{"key": "securetenant.io/tenant", "operator": "DoesNotExist"}]


def read(spec: dict[str, Any], settings: SettingsSpec | None = None) -> Record:
    known = Tenants()
    known.see("acme", seen(tenant("acme", network=spec)))
    known.read("acme", settings or settings_spec(), Store())
    record = known.get("acme")
    assert record is not None
    assert not record.is_refused, record.findings
    return record


def policies(
    spec: dict[str, Any], settings: SettingsSpec | None = None, namespace: str = "acme-a"
) -> dict[str, Any]:
    scope = read(spec, settings).units[namespace].scope
    return {ref.name.removeprefix("securetenant-"): body for ref, body in network.build(scope)}


def egress(cidr: str, *exceptions: str, **settings: Any) -> Any:
    """Return the ipBlock that an opening to these addresses becomes."""
    to = {"cidr": cidr, **({"except": list(exceptions)} if exceptions else {})}
    opening = {"name": "x", "to": [to], "ports": HTTPS, "reason": "wide"}
    body = policies({"egress": [opening]}, settings_spec(**settings))["egress-x"]
    ((peer,),) = [rule["to"] for rule in body["spec"]["egress"]]
    return peer["ipBlock"]


def test_an_opening_becomes_one_policy_that_leads_back_to_its_entry() -> None:
    opening = {
        "name": "web",
        "from": [{"ingressController": "nginx"}],
        "ports": [{"port": 8080}, {"port": 9000, "endPort": 9010, "protocol": "UDP"}],
        "podSelector": {"matchLabels": {"app": "web"}},
    }
    body = policies({"ingress": [opening]}, settings_spec(ingressControllers=[NGINX]))[
        "ingress-web"
    ]
    assert body["metadata"]["annotations"] == {
        "securetenant.io/declared-in": "spec.network.ingress web"
    }
    assert body["spec"] == {
        "podSelector": {"matchLabels": {"app": "web"}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [
                    {
                        "namespaceSelector": {
                            "matchLabels": NGINX["namespaceLabels"],
                            "matchExpressions": NO_TENANT,
                        },
                        "podSelector": {"matchLabels": NGINX["podLabels"]},
                    }
                ],
                "ports": [
                    {"port": 8080, "protocol": "TCP"},
                    {"port": 9000, "endPort": 9010, "protocol": "UDP"},
                ],
            }
        ],
        "egress": [],
    }


def test_a_port_may_be_named_as_the_pods_name_it() -> None:
    ports = [{"port": "http"}, {"port": "dns", "protocol": "UDP"}, {"port": 9000}]
    opening = {"name": "web", "from": [{"cidr": "10.0.0.0/8"}], "ports": ports}
    (rule,) = policies({"ingress": [opening]})["ingress-web"]["spec"]["ingress"]
    assert rule["ports"] == [
        {"port": 9000, "protocol": "TCP"},
        {"port": "http", "protocol": "TCP"},
        {"port": "dns", "protocol": "UDP"},
    ]


def test_labels_of_the_platform_never_mean_a_tenant() -> None:
    """Another tenant may label its namespace like the platform's."""
    to = [{"namespaceLabels": {"team": "monitoring"}}]
    opening = {"name": "metrics", "to": to, "ports": [{"port": 9090}]}
    (rule,) = policies({"egress": [opening]})["egress-metrics"]["spec"]["egress"]
    assert rule["to"] == [
        {
            "namespaceSelector": {
                "matchLabels": {"team": "monitoring"},
                "matchExpressions": NO_TENANT,
            }
        }
    ]


def test_an_opening_holds_where_it_is_meant_for() -> None:
    opening = {"name": "x", "to": [{"cidr": "10.0.0.0/8"}], "ports": HTTPS}
    there = {"egress": [{**opening, "namespaces": ["acme-b"]}]}
    assert "egress-x" not in policies(there)
    assert "egress-x" in policies(there, namespace="acme-b")
    assert "egress-x" not in policies({"egress": [{**opening, "namespaces": []}]})
    assert "egress-x" in policies({"egress": [opening]})


@pytest.mark.parametrize("address", CLOUDS.values(), ids=CLOUDS)
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_no_opening_by_cidr_holds_a_clouds_credentials(direction: str, address: str) -> None:
    """S14: ``::/0`` leaves Google's and Alibaba's metadata addresses open."""
    side = {"ingress": "from", "egress": "to"}[direction]
    wide = [
        {"cidr": "0.0.0.0/0"},
        {"cidr": "::/0"},
        {"cidr": "fd00::/8"},
        {"cidr": "100.64.0.0/10"},
    ]
    opening = {"name": "all", side: wide, "ports": HTTPS, "reason": "all"}
    (rule,) = policies({direction: [opening]})[f"{direction}-all"]["spec"][direction]
    found = ipaddress.ip_address(address)
    for each in rule[side]:
        block = each["ipBlock"]
        if found in ipaddress.ip_network(block["cidr"]):
            assert any(found in ipaddress.ip_network(one) for one in block["except"])


@pytest.mark.parametrize(
    ("cidr", "exceptions", "settings", "left_out"),
    [
        pytest.param("0.0.0.0/0", [], {}, METADATA, id="everywhere has no metadata service"),
        pytest.param("::/0", [], {}, METADATA_V6, id="nor has IPv6"),
        pytest.param("10.0.0.0/8", [], {}, None, id="far from everything"),
        pytest.param(
            "0.0.0.0/0",
            ["168.63.0.0/16", "10.0.0.0/8"],
            {},
            [
                "10.0.0.0/8",
                "100.100.100.200/32",
                "168.63.0.0/16",
                *METADATA[2:],
            ],
            id="an exception that holds another swallows it",
        ),
        pytest.param(
            "10.0.0.0/8",
            [],
            {
                "nodeNetworks": ["10.1.0.0/16"],
                "podNetworks": ["10.2.0.0/16"],
                "apiServer": {"addresses": ["10.96.0.1/32"], "ports": [443]},
                "metadataAddresses": ["10.3.0.1/32"],
            },
            ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.1/32", "10.96.0.1/32"],
            id="nodes, pods, the API server and the cloud's own address",
        ),
        pytest.param(
            "64:ff9b::a00:0/104",
            [],
            {
                "nodeNetworks": ["10.1.0.0/16"],
                "podNetworks": ["10.2.0.0/16"],
                "apiServer": {"addresses": ["10.96.0.1/32"], "ports": [443]},
                "metadataAddresses": ["10.3.0.1/32"],
            },
            [
                "64:ff9b::a01:0/112",
                "64:ff9b::a02:0/112",
                "64:ff9b::a03:1/128",
                "64:ff9b::a60:1/128",
            ],
            id="the same through a translator from IPv6",
        ),
        pytest.param(
            "10.1.2.0/24",
            [],
            {
                "nodeNetworks": ["10.1.0.0/16"],
                "apiServer": {"addresses": ["10.1.2.3/32"], "ports": [443]},
            },
            ["10.1.2.3/32"],
            id="nodes that are named stay, the API server among them does not",
        ),
        pytest.param("169.254.169.254/32", [], {}, None, id="named exactly"),
    ],
)
def test_what_is_kept_is_cut_out_of_a_cidr_unless_named(
    cidr: str, exceptions: list[str], settings: dict[str, Any], left_out: list[str] | None
) -> None:
    assert egress(cidr, *exceptions, **settings).get("except") == left_out


def test_nobody_known_means_no_policy_rather_than_one_for_everybody() -> None:
    opening = {"name": "web", "from": [{"ingressController": "nginx"}], "ports": HTTPS}
    assert "ingress-web" not in policies({"ingress": [opening]})


def test_an_unknown_ingress_controller_is_told_with_the_known_ones() -> None:
    opening = {"name": "web", "from": [{"ingressController": "ngnix"}], "ports": HTTPS}
    others = [NGINX, {**NGINX, "name": "envoy"}]
    record = read({"ingress": [opening]}, settings_spec(ingressControllers=others))
    (finding,) = record.findings
    assert (finding.type, finding.reason) == ("NetworkIsolated", "NotInSettings")
    assert finding.message == (
        "TenancySettings do not know ingress controller ngnix (opening web). They know envoy,"
        " nginx. Name one of these, or have the platform team add it to ingressControllers; until"
        " then it is closed."
    )


def test_an_opening_in_a_namespace_of_others_is_told() -> None:
    to = [{"cidr": "10.0.0.0/8"}]
    opening = {"name": "db", "to": to, "ports": HTTPS, "namespaces": ["acme-a", "beta-a"]}
    (finding,) = read({"egress": [opening]}).findings
    assert (finding.type, finding.reason) == ("NetworkIsolated", "UnknownNamespace")
    assert "beta-a (opening db)" in finding.message


def test_the_api_server_is_opened_on_request_at_the_addresses_of_the_platform() -> None:
    known = settings_spec(apiServer={"addresses": ["10.96.0.1/32"], "ports": [443, 6443]})
    body = policies({"apiServer": "Allow"}, known)["api-server"]
    assert body["spec"]["egress"] == [
        {
            "to": [{"ipBlock": {"cidr": "10.96.0.1/32"}}],
            "ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}],
        }
    ]
    assert "api-server" not in policies({}, known)
    assert "api-server" not in policies({"apiServer": "Deny"}, known)


def test_an_api_server_without_addresses_opens_nothing_and_is_told() -> None:
    assert "api-server" not in policies({"apiServer": "Allow"})
    (finding,) = read({"apiServer": "Allow"}).findings
    assert (finding.type, finding.reason) == ("NetworkIsolated", "NotInSettings")
    assert "TenancySettings name no addresses in apiServer" in finding.message


def bound(spec: dict[str, Any], **bounds: Any) -> str:
    """Say which bound a spec of the network, or a whole one, passes."""
    known = Tenants()
    whole = spec if "workloads" in spec else {"network": spec}
    known.see("acme", seen(tenant("acme", **whole)))
    known.read("acme", settings_spec(bounds=bounds), Store())
    record = known.get("acme")
    assert record is not None
    return record.findings[0].message if record.is_refused else ""


def test_a_bound_is_told_with_the_value_and_the_bound() -> None:
    opening = {"name": "db", "to": [{"cidr": "10.0.0.0/8"}], "ports": HTTPS}
    spec = {"egress": [opening]}
    assert bound(spec, cidrs=["10.1.0.0/16", "11.0.0.0/8"]).startswith(
        "opening db names 10.0.0.0/8, the bound is 10.1.0.0/16, 11.0.0.0/8 (TenancySettings)."
    )
    assert bound(spec, cidrs=[]).startswith("opening db names 10.0.0.0/8, the bound is none")
    assert bound(spec, cidrs=["10.0.0.0/7"]) == ""
    assert bound(spec) == ""
    peers = {
        "peers": [{"tenant": "beta", "namespaces": ["x"], "ports": HTTPS, "direction": "Both"}]
    }
    assert bound(peers, peers=["gamma"]).startswith("peer beta is not within the bound, gamma")
    assert bound(peers, peers=[]).startswith("peer beta is not within the bound, nobody")
    assert bound(peers, peers=["b*"]) == ""
    gpu = {"workloads": {"tolerations": [{"key": "nvidia.com/gpu"}]}}
    assert bound(gpu, tolerations=["amd.com/gpu"]).startswith(
        "workloads.tolerations has nvidia.com/gpu, the bound is amd.com/gpu (TenancySettings)."
    )
    assert bound(gpu, tolerations=["nvidia.com/*"]) == ""
    assert bound(gpu) == ""


def test_e10_the_platform_opens_every_namespace_of_every_tenant() -> None:
    to = [{"cidr": "192.0.2.0/24"}]
    shared = settings_spec(network={"egress": [{"name": "proxy", "to": to, "ports": HTTPS}]})
    for namespace in ("acme-a", "acme-b"):
        made = policies({}, shared, namespace)["platform-proxy"]
        assert made["spec"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
    scope = read({}, shared).units["acme-a"].scope
    assert network.named(scope) == ((), ()), "a tenant's own policies would open more ports"


def test_what_own_policies_may_name_is_what_is_declared() -> None:
    to = [{"cidr": "10.0.0.0/8"}, {"cidr": "11.0.0.0/8"}]
    spec = {
        "ingress": [{"name": "a", "from": to[:1], "ports": HTTPS}],
        "egress": [{"name": "b", "to": to, "ports": HTTPS}],
    }
    scope = read(spec).units["acme-a"].scope
    assert network.named(scope) == ((), ("10.0.0.0/8", "11.0.0.0/8"))
