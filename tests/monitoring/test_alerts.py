"""Each alert fires when it should and is silent when it should not, tried by promtool."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import documents
from harness import ROOT
from securetenant.sandbox import binaries
from securetenant.telemetry.metrics import Metrics

MONITORING = ROOT / "manifests/monitoring"
(RULES,) = documents.read((MONITORING / "rules.yaml").read_text(encoding="utf-8"))
ALERTS = {each["alert"]: each for group in RULES["spec"]["groups"] for each in group["rules"]}
QUIET = {
    'securetenant_leader{pod="a"}': "1x120",
    'securetenant_leader{pod="b"}': "0x120",
    'securetenant_packet_probe_nodes{result="filtered"}': "3x120",
    'securetenant_packet_probe_nodes{result="silent"}': "0x120",
    'securetenant_packet_probe_nodes{result="unfiltered"}': "0x120",
    "securetenant_policies_in_force": "1x120",
    "securetenant_tenants": "5x120",
    "securetenant_tenants_following_settings": "5x120",
    "securetenant_tenants_not_ready": "0x120",
    "securetenant_settings_roll_out_halted": "0x120",
    'securetenant_isolation_attempts_total{verdict="Blocked"}': "0+9x120",
    'securetenant_isolation_attempts_total{verdict="Open"}': "0x120",
    'securetenant_requests_total{method="GET",status="200"}': "0+9x120",
    'securetenant_requests_total{method="GET",status="403"}': "0x120",
    'securetenant_requests_total{method="GET",status="503"}': "0x120",
    'securetenant_drifts_total{kind="NetworkPolicy"}': "0x120",
    'securetenant_reconcile_seconds_count{key="Tenant",result="again"}': "0+1x120",
    'securetenant_reconcile_seconds_count{key="Tenant",result="failed"}': "0x120",
}
"""What a healthy installation shows, once a minute for two hours."""
TROUBLE: dict[str, dict[str, str | None]] = {
    "SecureTenantPoliciesNotInForce": {"securetenant_policies_in_force": "0x120"},
    "SecureTenantIsolationOpen": {
        'securetenant_isolation_attempts_total{verdict="Open"}': "0x55 1x65"
    },
    "SecureTenantPacketsNotFiltered": {
        'securetenant_packet_probe_nodes{result="unfiltered"}': "0x55 1x65"
    },
    "SecureTenantPacketProbeSilent": {'securetenant_packet_probe_nodes{result="silent"}': "1x120"},
    "SecureTenantOperatorAbsent": dict.fromkeys(QUIET),
    "SecureTenantNobodyLeads": {'securetenant_leader{pod="a"}': "0x120"},
    "SecureTenantRequestsRefused": {
        'securetenant_requests_total{method="GET",status="403"}': "0+1x120"
    },
    "SecureTenantAPIServerUnavailable": {
        'securetenant_requests_total{method="GET",status="503"}': "0+1x120"
    },
    "SecureTenantTenantsNotReady": {"securetenant_tenants_not_ready": "2x120"},
    "SecureTenantRollOutHalted": {"securetenant_settings_roll_out_halted": "1x120"},
    "SecureTenantRollOutSlow": {"securetenant_tenants_following_settings": "4x120"},
    "SecureTenantDriftContinues": {'securetenant_drifts_total{kind="NetworkPolicy"}': "0+1x120"},
    "SecureTenantWorkFails": {
        'securetenant_reconcile_seconds_count{key="Tenant",result="failed"}': "0+1x120"
    },
}


@pytest.fixture(scope="module")
def promtool() -> Path:
    """Built from its Go module, once."""
    return binaries.locate(("promtool",), lambda _: None)["promtool"]


def check(
    promtool: Path, folder: Path, series: dict[str, str | None], fires: dict[str, Any]
) -> None:
    """Have promtool play two hours; at the end of the first exactly these alerts fire."""
    groups = {"groups": RULES["spec"]["groups"]}
    (folder / "rules.yaml").write_text(yaml.safe_dump(groups), encoding="utf-8")
    test = {
        "interval": "1m",
        "input_series": [
            {"series": name, "values": values}
            for name, values in series.items()
            if values is not None
        ],
        "alert_rule_test": [
            {
                "eval_time": "60m",
                "alertname": name,
                "exp_alerts": [fires[name]] if name in fires else [],
            }
            for name in ALERTS
        ],
    }
    body = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "test.yaml").write_text(yaml.safe_dump(body), encoding="utf-8")
    done = subprocess.run(
        [str(promtool), "test", "rules", "test.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_healthy_installation_wakes_nobody(promtool: Path, tmp_path: Path) -> None:
    check(promtool, tmp_path, dict(QUIET), {})


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_fires_by_what_it_is_about_and_no_other_does(
    alert: str, promtool: Path, tmp_path: Path
) -> None:
    series = {**QUIET, **TROUBLE[alert]}
    labels = dict(ALERTS[alert]["labels"])
    words = {"$value": "2", "$labels.kind": "NetworkPolicy", "$labels.key": "Tenant"}
    if "by (kind)" in ALERTS[alert]["expr"]:
        labels["kind"] = words["$labels.kind"]
    if "by (key)" in ALERTS[alert]["expr"]:
        labels["key"] = words["$labels.key"]
    annotations = {
        key: re.sub(r"\{\{ (\S+) \}\}", lambda found: words[found[1]], text)
        for key, text in ALERTS[alert]["annotations"].items()
    }
    fires = {alert: {"exp_labels": labels, "exp_annotations": annotations}}
    check(promtool, tmp_path, series, fires)


def metrics() -> set[str]:
    """Return the names of every metric that the operator shows."""
    text = Metrics().exposition().decode()
    names = set(re.findall(r"^# TYPE (securetenant_\S+) ", text, re.MULTILINE))
    return names | {
        f"{name}{end}"
        for name in re.findall(r"^# TYPE (securetenant_\S+) histogram", text, re.MULTILINE)
        for end in ("_bucket", "_count", "_sum")
    }


@pytest.mark.parametrize("file", ["rules.yaml", "dashboard.yaml"])
def test_only_metrics_that_exist_are_asked_for(file: str) -> None:
    text = (MONITORING / file).read_text(encoding="utf-8")
    asked = set(re.findall(r"securetenant_[a-z_]+", text))
    assert asked
    assert asked <= metrics()


def test_every_metric_is_on_the_dashboard() -> None:
    (body,) = documents.read((MONITORING / "dashboard.yaml").read_text(encoding="utf-8"))
    board = json.loads(body["data"]["securetenant.json"])
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    shown = {name for name in metrics() if not name.endswith(("_created", "_count", "_sum"))}
    left = {name for name in shown if name not in asked and not name.endswith("reconcile_seconds")}
    assert left == set()


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_runbook(alert: str) -> None:
    page = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
    assert f"## {alert}\n" in page
    anchor = ALERTS[alert]["annotations"]["runbook"]
    assert anchor == f"docs/runbooks.md#{alert.lower()}"
    section = page.partition(f"## {alert}\n")[2].partition("\n## ")[0]
    assert "**Means.**" in section
    assert "**Do.**" in section
