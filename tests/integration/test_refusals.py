"""Bad specs are refused at `kubectl apply`, with a message that says what to write instead."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory import seen, settings, settings_spec, tenant
from harness import Api
from securetenant.api import kinds
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

PROTECTED = "this name is protected"
NAME = "a namespace's name has lower-case letters, digits and '-'"
RESERVED = "keys under securetenant.io, kubernetes.io, k8s.io and openshift.io are reserved"


def _grant(subject: dict[str, Any]) -> dict[str, Any]:
    return {"name": "grant", "role": "Viewer", "subjects": [subject]}


def _namespace(**entry: Any) -> dict[str, Any]:
    return tenant("refused", namespaces=[entry])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            tenant("x" * 41, namespaces=[{"name": "abc"}]),
            "a tenant's name has at most 40 lower-case letters",
            id="name too long",
        ),
        pytest.param(
            tenant("a.b", namespaces=[{"name": "abc"}]),
            "a tenant's name has at most 40 lower-case letters",
            id="name with a dot",
        ),
        pytest.param(tenant(namespaces=[]), "at least 1 items", id="no namespaces"),
        pytest.param(tenant(namespaces=None), "spec.namespaces: Required value", id="none at all"),
        pytest.param(
            tenant(namespaces=[{"name": "twice"}, {"name": "twice"}]),
            'Duplicate value: {"name":"twice"}',
            id="a namespace twice",
        ),
        pytest.param(tenant(surprise=1), 'unknown field "spec.surprise"', id="unknown field"),
        pytest.param(
            _namespace(name="abc", labls={}),
            'unknown field "spec.namespaces[0].labls"',
            id="misspelt field",
        ),
        *(
            pytest.param(_namespace(name=name), PROTECTED, id=f"protected name {name}")
            for name in (
                "default",
                "kube-system",
                "kube-x",
                "openshift-dns",
                "securetenant-system",
                "com",
                "io",
                "x",
            )
        ),
        *(
            pytest.param(_namespace(name=name), NAME, id=f"malformed name {name!r}")
            for name in ("Upper", "under_score", "-dash", "dash-", "do.t", "abc\n")
        ),
        pytest.param(_namespace(name="x" * 64), "may not be more than 63", id="long namespace"),
        *(
            pytest.param(_namespace(name="abc", labels={key: "x"}), RESERVED, id=f"reserved {key}")
            for key in (
                "securetenant.io/tenant",
                "sub.securetenant.io/x",
                "pod-security.kubernetes.io/enforce",
                "kubernetes.io/metadata.name",
                "app.kubernetes.io/managed-by",
                "resource.kubernetes.io/admin-access",
                "x.k8s.io/y",
                "security.openshift.io/scc.podSecurityLabelSync",
            )
        ),
        pytest.param(
            _namespace(name="abc", labels={"no spaces": "x"}), "a key is like team", id="bad key"
        ),
        pytest.param(
            _namespace(name="abc", labels={"team": "no spaces"}),
            "a value has up to 63 letters",
            id="bad value",
        ),
        pytest.param(
            tenant(podSecurity={"level": "privileged"}),
            'supported values: "restricted", "baseline"',
            id="privileged",
        ),
        pytest.param(
            tenant(podSecurity={"level": "baseline"}), "say why in exceptionReason", id="no reason"
        ),
        pytest.param(
            tenant(podSecurity={"level": "baseline", "exceptionReason": "  "}),
            "say why in exceptionReason",
            id="blank reason",
        ),
        *(
            pytest.param(
                tenant(podSecurity={"version": version}),
                "version is a minor version from v1.34 on",
                id=f"version {version}",
            )
            for version in ("latest", "v1.33", "1.37", "v1.370", "v2.0")
        ),
        *(
            pytest.param(tenant(quota={key: 1}), "a quota limits requests.cpu", id=f"quota {key}")
            for key in ("cpu", "memory", "limits.pods", "count/")
        ),
        *(
            pytest.param(
                tenant(quota={"pods": value}),
                "a quantity is a number of zero or more",
                id=f"{value}",
            )
            for value in ("lots", -1, "1gi", "8Ei", "1e30", "1e999999999")
        ),
        *(
            pytest.param(tenant(quota={key: "1.5"}), "by whole numbers", id=f"half of {key}")
            for key in ("pods", "services.nodeports", "count/jobs.batch", "persistentvolumeclaims")
        ),
        pytest.param(
            tenant(quota={"pods": 1}, namespaces=[{"name": "abc", "quota": {"hard": {"pods": 2}}}]),
            "a namespace's fixed part is above the tenant's total",
            id="part above total",
        ),
        pytest.param(
            _namespace(name="abc", quota={"weight": 1, "hard": {}}),
            "or any of weight",
            id="both parts",
        ),
        pytest.param(_namespace(name="abc", quota={}), "or any of weight", id="no part"),
        pytest.param(
            _namespace(name="abc", quota={"weight": 0}), "greater than or equal to 1", id="weight 0"
        ),
        pytest.param(
            _namespace(name="abc", podSecurity={"level": "baseline"}),
            "a namespace is as strict as the tenant or stricter",
            id="looser than the tenant",
        ),
        *(
            pytest.param(
                tenant(containerLimits={bound: {"cpu": 1, resource: zero}}),
                f"spec.containerLimits.{bound}: Invalid value: {bound} is zero for a resource: a"
                " container with a limit of zero runs without a limit and is charged nothing. Write"
                " a quantity above zero, or leave the resource out",
                id=f"S15: {bound} of zero",
            )
            for bound, resource, zero in (
                ("min", "cpu", 0),
                ("defaultRequest", "memory", "0Mi"),
                ("default", "ephemeral-storage", "0"),
                ("max", "cpu", "-0"),
            )
        ),
        pytest.param(
            tenant(containerLimits={"min": {"cpu": 2}, "max": {"cpu": 1}}),
            "min is above max",
            id="contradicting limits",
        ),
        pytest.param(
            tenant(containerLimits={"max": {"pids": 1}}),
            'unknown field "spec.containerLimits.max.pids"',
            id="an unknown limit",
        ),
        *(
            pytest.param(tenant(access=[_grant(subject)]), message, id=f"subject {subject}")
            for subject, message in (
                ({"kind": "Group", "name": "system:authenticated"}, "names under system:"),
                ({"kind": "User", "name": "system:admin"}, "names under system:"),
                ({"kind": "Group", "name": " system:authenticated"}, "no space at its ends"),
                ({"kind": "Group", "name": "devs\u00a0"}, "no space at its ends"),
                ({"kind": "Group", "name": "de\u200bvs"}, "no invisible character"),
                ({"kind": "User", "name": "alice\n"}, "no invisible character"),
                ({"kind": "User", "name": "*"}, "no asterisk"),
                ({"kind": "Group", "name": "devs-*"}, "no asterisk"),
                ({"kind": "User", "name": "acme-ci/deployer"}, "use kind ServiceAccount"),
                # S10.
                ({"kind": "User", "name": "securetenant:canary"}, "those under securetenant:"),
                (
                    {"kind": "Group", "name": "securetenant:break-glass"},
                    "those under securetenant:",
                ),
                ({"kind": "ServiceAccount", "name": "ci"}, "a ServiceAccount needs its namespace"),
                ({"kind": "User", "name": "x", "namespace": "abc"}, "a User or Group has none"),
                ({"kind": "Robot", "name": "x"}, 'Unsupported value: "Robot"'),
            )
        ),
        pytest.param(
            tenant(access=[{"name": "a", "role": "Admin", "subjects": []}]),
            "at least 1 items",
            id="a grant to nobody",
        ),
        pytest.param(
            tenant(access=[{**_grant({"kind": "User", "name": "x"}), "role": "Root"}]),
            'supported values: "Admin", "Developer", "Viewer"',
            id="a role that does not exist",
        ),
        pytest.param(
            tenant(deletionPolicy="Orphan"), 'supported values: "Retain", "Delete"', id="policy"
        ),
        pytest.param(
            tenant(network={"sameTenant": "No"}), 'supported values: "Allow", "Deny"', id="network"
        ),
        *(
            pytest.param(tenant(workloads=workloads), message, id=f"workloads {workloads}")
            for workloads, message in (
                ({"registries": ["registry.example"]}, "with its host and a slash at the end"),
                ({"registries": ["team/"]}, "with its host and a slash at the end"),
                ({"registries": ["Registry.example/"]}, "in lower case, like registry.acme"),
                ({"registries": ["registry.example/../"]}, "a registry is the beginning of"),
                ({"registries": ["registry.example/team/app"]}, "a slash at the end"),
                ({"registries": ["*"]}, "a registry is the beginning of image names"),
                ({"registries": "registry.example/"}, "must be of type array"),
                ({"hostnames": ["example"]}, "a host name is in lower case and has a dot"),
                ({"hostnames": ["."]}, "hostnames[0]"),
                ({"hostnames": ["*.acme.example"]}, "a host name is in lower case and has a dot"),
                ({"hostnames": [".Acme.example"]}, "a host name is in lower case and has a dot"),
                ({"images": "Latest"}, 'supported values: "Tag", "Digest"'),
                ({"images": True}, "must be of type string"),
                ({"imagePullPolicy": "Never"}, 'supported values: "Always", "Any"'),
                ({"rootFilesystem": "Writable"}, 'supported values: "ReadOnly", "Any"'),
                ({"userNamespaces": "WhenSupported"}, 'supported values: "Required", "Any"'),
                ({"priorityClasses": ["system-node-critical"]}, "are for the cluster itself"),
                ({"priorityClasses": ["*"]}, "is the name of an object, in lower case"),
                ({"tolerations": [{"key": "a b"}]}, "a taint is its key, like nvidia.com/gpu"),
                ({"tolerations": [{"key": "a", "value": "b c"}]}, "a taint is its key"),
                ({"tolerations": [{"key": ""}]}, "at least 1 chars long"),
                ({"tolerations": [{"operator": "Exists"}]}, "unknown field"),
                ({"tolerations": [{"key": "a", "effect": "Evict"}]}, "supported values"),
                *(
                    ({"tolerations": [{"key": key}]}, "keep tenants apart")
                    for key in (
                        "securetenant.io/tenant",
                        "node-role.kubernetes.io/control-plane",
                        "node.kubernetes.io/unschedulable",
                    )
                ),
                ({"gateways": [{"name": "a", "namespace": "B"}]}, "a Gateway is named by"),
                ({"gateways": [{"name": "a"}]}, "gateways[0].namespace: Required value"),
                ({"gateways": ["a/b"]}, "must be of type object"),
                ({"runtimeClasses": ["gVisor"]}, "is the name of an object, in lower case"),
                ({"storageClasses": [""]}, "storageClasses[0]"),
                ({"csiDrivers": ["a/b"]}, "is the name of an object, in lower case"),
                ({"ingressClasses": ["nginx", "nginx"]}, "Duplicate value"),
                ({"serviceTypes": ["ExternalName"]}, "supported values"),
                ({"serviceTypes": ["ClusterIP", "ClusterIP"]}, "Duplicate value"),
                ({"serviceAccountTokens": {"maxSeconds": 599}}, "greater than or equal to 600"),
                ({"serviceAccountTokens": {"maxSeconds": 1e9}}, "less than or equal to 3.1536e+07"),
                ({"serviceAccountTokens": {"automount": "No"}}, 'supported values: "Allow"'),
                ({"serviceAccountTokens": {"audiences": [""]}}, "audiences[0]"),
                ({"annotations": ["note"]}, "an annotation is a key with its prefix"),
                ({"annotations": ["*"]}, "annotations[0]"),
                ({"annotations": ["a.b/c*d"]}, "an annotation is a key with its prefix"),
                ({"annotations": ["*/x"]}, "an annotation is a key with its prefix"),
                ({"runAsUser": 0}, "greater than or equal to 1"),
                ({"runAsUser": "app"}, "must be of type integer"),
                ({"registry": []}, 'unknown field "spec.workloads.registry"'),
            )
        ),
        pytest.param(
            tenant(quota={"count/networkpolicies.networking.k8s.io": 9}),
            "are walls too and are counted in each namespace",
            id="a quota of walls",
        ),
        pytest.param(
            tenant(containerLimits={"cpuLimit": "None", "default": {"cpu": 1}}),
            "cpuLimit is None and a limit of CPU is given",
            id="no limit of CPU and a default",
        ),
        pytest.param(
            tenant(containerLimits={"cpuLimit": "None"}, quota={"limits.cpu": 1}),
            "so nothing would be counted: leave one of them out",
            id="no limit of CPU and a quota of limits",
        ),
        *(
            pytest.param(spec, "write a unit, like 512Mi", id=f"no unit {number}")
            for number, spec in enumerate(
                (
                    tenant(quota={"requests.memory": 512}),
                    tenant(quota={"requests.storage": "100000"}),
                    tenant(containerLimits={"default": {"memory": 512}}),
                    tenant(containerLimits={"max": {"ephemeral-storage": "10"}}),
                )
            )
        ),
        pytest.param(tenant(enforcement="Off"), 'supported values: "Enforce", "Audit"', id="off"),
    ],
)
def test_a_bad_spec_is_refused_with_what_to_write_instead(
    body: dict[str, Any], message: str, admin: Api
) -> None:
    answer = admin.create(kinds.SECURE_TENANT, body, dryRun="All", fieldValidation="Strict")
    assert 400 <= answer.status < 500
    assert message in answer.message


def test_the_same_spec_without_the_mistake_is_accepted(admin: Api) -> None:
    """Else the refusals above would prove nothing."""
    good = _namespace(name="abc", labels={"team": "x", "app.kubernetes.io/part-of": "shop"})
    admin.create(kinds.SECURE_TENANT, good, dryRun="All", fieldValidation="Strict").ok()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            {**settings(), "metadata": {"name": "other"}},
            "there is one TenancySettings, and its name is default",
            id="another name",
        ),
        pytest.param(
            settings(metadataAddresses=["169.254.0.1/16"]), "without bits beyond it", id="host bits"
        ),
        pytest.param(
            settings(metadataAddresses=["169.254.169.254"]), "a network is an address", id="no mask"
        ),
        pytest.param(
            settings(
                dns={"pods": [], "addresses": ["169.254.169.254/32"], "ports": [53]},
                metadataAddresses=["169.254.0.0/16"],
            ),
            "a DNS address lies in metadataAddresses",
            id="DNS at the metadata service",
        ),
        pytest.param(
            settings(
                dns={
                    "pods": [{"namespaceLabels": {}, "podLabels": {"a": "b"}}],
                    "addresses": [],
                    "ports": [53],
                }
            ),
            "an empty selector would be everybody",
            id="DNS is everybody",
        ),
        pytest.param(
            settings(dns={"pods": [], "addresses": [], "ports": [53]}),
            "spec.dns: Invalid value: dns names no server, so no tenant could resolve a name. Write"
            " the labels of the DNS pods into dns.pods, or the address of a DNS server into"
            " dns.addresses",
            id="T5: no DNS at all",
        ),
        pytest.param(
            settings(workloads={"hostnames": [".apps.example"]}),
            "host names are each tenant's own",
            id="host names of everybody",
        ),
        *(
            pytest.param(settings(agents=[agent]), message, id=f"agent {number}")
            for number, (agent, message) in enumerate(
                (
                    (
                        {
                            "name": "a",
                            "serviceAccount": {"namespace": "free", "name": "a"},
                            "allows": {},
                        },
                        "a tenant could have it, and be the agent. Add it there",
                    ),
                    ({"name": "a", "allows": {}}, "an agent is a serviceAccount or a user"),
                    (
                        {"name": "a", "user": "system:serviceaccount:b:c", "allows": {}},
                        "a ServiceAccount is written as serviceAccount",
                    ),
                    (
                        {"name": "a", "user": "system:anonymous", "allows": {}},
                        "names under system: and securetenant:",
                    ),
                    (
                        {"name": "a", "user": "system:kube-controller-manager", "allows": {}},
                        "names under system: and securetenant:",
                    ),
                    (
                        {"name": "a", "user": "bot", "allows": {"annotations": ["*"]}},
                        "allows.annotations[0]",
                    ),
                    (
                        {"name": "a", "user": "bot", "allows": {"registries": ["quay.io"]}},
                        "a registry is the beginning of image names",
                    ),
                    (
                        {"name": "a", "user": "bot", "allows": {"finalizers": ["a/b"]}},
                        "unknown field",
                    ),
                )
            )
        ),
        pytest.param(settings(protectedNames=["a*b"]), "a protected name is", id="asterisk inside"),
        pytest.param(settings(defaultQuota={"cpu": 1}), "a quota limits", id="ambiguous quota"),
        pytest.param(settings(teardownsPerHour=-1), "greater than or equal to 0", id="negative"),
    ],
)
def test_bad_settings_are_refused_with_what_to_write_instead(
    body: dict[str, Any], message: str, admin: Api
) -> None:
    answer = admin.create(kinds.TENANCY_SETTINGS, body, dryRun="All", fieldValidation="Strict")
    assert 400 <= answer.status < 500
    assert message in answer.message


text = st.one_of(
    st.sampled_from(["acme-prod", "default", "kube-a", "", "A", "a", "ab", "abc", "x" * 63, "a.b"]),
    st.text(st.sampled_from("abz09-._/ A\u00e9"), max_size=12),
)
prefixes: st.SearchStrategy[str] = st.sampled_from(
    ["", "example.com/", "k8s.io/", "a.kubernetes.io/", "app.kubernetes.io/"]
)
keys = st.builds(lambda prefix, name: prefix + name, prefixes, text)
SETTINGS = settings_spec()
amounts = st.sampled_from(
    [0, 1, "500m", "1Gi", "1e3", "lots", -1, "-2", "1.5", "1.5k", "8Ei", "1e999999999"]
)
quotas = st.dictionaries(
    st.sampled_from(["pods", "requests.cpu", "cpu", "count/jobs.batch", "requests.x.io/gpu", "x"]),
    amounts,
    max_size=2,
)
bounds = st.fixed_dictionaries({}, optional={"cpu": amounts, "memory": amounts})
subjects = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["User", "Group", "ServiceAccount", "Robot"]),
        "name": st.sampled_from(["alice", "system:masters", "a b", "", "ci.bot", "Ci"]),
    },
    optional={"namespace": text},
)
registries = st.one_of(
    st.sampled_from(["r.example/", "r.example:5000/a/b_c/", "localhost/", "r/", "r.example", "/"]),
    st.from_regex(r"[a-zA-Z0-9.:/_-]{1,12}/?", fullmatch=True),
)
hostnames = st.one_of(
    st.sampled_from([".acme.example", ".a", "a.b", ".", ".A", "..", ".a-"]),
    st.from_regex(r"\.?[a-zA-Z0-9.-]{1,8}", fullmatch=True),
)
specs: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "namespaces": st.lists(
            st.fixed_dictionaries(
                {"name": text},
                optional={
                    "labels": st.dictionaries(keys, text, max_size=3),
                    "annotations": st.dictionaries(keys, text, max_size=3),
                    "quota": st.fixed_dictionaries(
                        {}, optional={"weight": st.integers(-1, 1001), "hard": quotas}
                    ),
                    "podSecurity": st.fixed_dictionaries(
                        {"level": st.sampled_from(["restricted", "baseline"])}
                    ),
                },
            ),
            max_size=3,
            unique_by=lambda entry: str(entry["name"]),
        )
    },
    optional={
        "quota": quotas,
        "network": st.fixed_dictionaries(
            {}, optional={"sameTenant": st.sampled_from(["Deny", "No"])}
        ),
        "workloads": st.fixed_dictionaries(
            {},
            optional={
                "registries": st.lists(registries, max_size=2, unique=True),
                "hostnames": st.lists(hostnames, max_size=2, unique=True),
                "priorityClasses": st.lists(
                    st.sampled_from(["low", "system-x", "A", "a.b-", ""]), max_size=1
                ),
                "images": st.sampled_from(["Tag", "Digest", "Any"]),
                "runAsUser": st.integers(-1, 2),
                "serviceAccountTokens": st.fixed_dictionaries(
                    {}, optional={"maxSeconds": st.sampled_from([599, 600])}
                ),
            },
        ),
        "enforcement": st.sampled_from(["Enforce", "Audit", "Warn"]),
        "deletionPolicy": st.sampled_from(["Retain", "Delete", "Orphan"]),
        "reconciliation": st.sampled_from(["Active", "Suspended", "Off"]),
        "containerLimits": st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("min", "defaultRequest", "default", "max"), bounds)
        ),
        "access": st.lists(
            st.fixed_dictionaries(
                {
                    "name": st.sampled_from(["a", "b", ""]),
                    "role": st.sampled_from(["Admin", "Viewer", "Root"]),
                    "subjects": st.lists(subjects, max_size=2),
                },
                optional={"namespaces": st.lists(text, max_size=2)},
            ),
            max_size=2,
            unique_by=lambda entry: str(entry["name"]),
        ),
        "podSecurity": st.fixed_dictionaries(
            {},
            optional={
                "level": st.sampled_from(["restricted", "baseline", "privileged"]),
                "version": st.sampled_from(["v1.37", "v1.34", "v1.33", "latest", "v1.99", ""]),
                "exceptionReason": st.sampled_from(["", " ", "because"]),
            },
        ),
    },
)


@given(name=text, spec=specs)
def test_the_operator_and_the_api_server_agree_on_every_spec(
    name: str, spec: dict[str, Any], admin: Api
) -> None:
    """The models are the source of the CRD; here the two judge the same random specs."""
    body = tenant(name or "x", **copy.deepcopy(spec))
    answer = admin.create(kinds.SECURE_TENANT, body, dryRun="All", fieldValidation="Strict")
    known = Tenants()
    known.see(name, seen(body))
    known.read(name, SETTINGS, Store())
    record = known.get(name)
    assert record is not None
    if not name:
        return  # The API server asks for a name before it looks at anything.
    accepted = answer.status < 300
    assert accepted == (not record.is_refused), f"{answer.message!r} and {record.findings!r}"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("User", "alice@example.com"),
        ("User", "https://issuer.example/realms/acme#7f3a"),
        ("User", "CORP\\alice"),
        ("User", "CN=Alice Doe,O=Acme"),
        ("Group", "/acme/devs"),
        ("Group", "acme/devs"),
        ("Group", "oidc:Acme Developers"),
        ("Group", "Entwickler äöü"),
    ],
)
def test_names_that_identity_providers_give_are_accepted(kind: str, name: str, admin: Api) -> None:
    """Groups of GitLab and Keycloak have slashes, those of a directory have spaces."""
    body = tenant("names", access=[_grant({"kind": kind, "name": name})])
    admin.create(kinds.SECURE_TENANT, body, dryRun="All", fieldValidation="Strict").ok()
