"""Bad specs are refused at `kubectl apply`, with a message that says what to write instead."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factory import tenant
from harness import Api
from securetenant.api import kinds
from securetenant.reconcile.tenants import Tenants

PROTECTED = "this name is protected"
NAME = "a namespace's name has lower-case letters, digits and '-'"
RESERVED = "keys under securetenant.io, kubernetes.io, k8s.io and openshift.io are reserved"


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


text = st.one_of(
    st.sampled_from(["acme-prod", "default", "kube-a", "", "A", "a", "ab", "abc", "x" * 63, "a.b"]),
    st.text(st.sampled_from("abz09-._/ A\u00e9"), max_size=12),
)
prefixes: st.SearchStrategy[str] = st.sampled_from(
    ["", "example.com/", "k8s.io/", "a.kubernetes.io/", "app.kubernetes.io/"]
)
keys = st.builds(lambda prefix, name: prefix + name, prefixes, text)
specs: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "namespaces": st.lists(
            st.fixed_dictionaries(
                {"name": text}, optional={"labels": st.dictionaries(keys, text, max_size=3)}
            ),
            max_size=3,
            unique_by=lambda entry: str(entry["name"]),
        )
    },
    optional={
        "podSecurity": st.fixed_dictionaries(
            {},
            optional={
                "level": st.sampled_from(["restricted", "baseline", "privileged"]),
                "version": st.sampled_from(["v1.37", "v1.34", "v1.33", "latest", "v1.99", ""]),
                "exceptionReason": st.sampled_from(["", " ", "because"]),
            },
        )
    },
)


@given(name=text, spec=specs)
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_operator_and_the_api_server_agree_on_every_spec(
    name: str, spec: dict[str, Any], admin: Api
) -> None:
    """The models are the source of the CRD; here the two judge the same random specs."""
    body = tenant(name or "x", **copy.deepcopy(spec))
    answer = admin.create(kinds.SECURE_TENANT, body, dryRun="All", fieldValidation="Strict")
    known = Tenants()
    body["metadata"]["resourceVersion"] = "1"
    known.see(name, body)
    list(known.read(name))
    record = known.get(name)
    assert record is not None
    if not name:
        return  # The API server asks for a name before it looks at anything.
    accepted = answer.status < 300
    assert accepted == (not record.refusal), f"{answer.message!r} against {record.refusal!r}"
