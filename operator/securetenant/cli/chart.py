"""``securetenant chart``: the Helm charts, made of the manifests, so that both install the same."""

import copy
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from securetenant.api import crds, kinds

_MAIN, _CRDS = "securetenant", "securetenant-crds"
_HEADER = "{{- /* Made of manifests/ by make crds: change it there. */ -}}\n"
_FOLDERS = (
    "operator",
    "roles",
    "fairness",
    "policies",
    "policies/mutating",
    "packets",
    "monitoring",
)
"""What is always there, in this order; what depends on a value is said in :data:`_SWITCHES`."""
_PLATFORMS = "settings/platforms"
_SWITCHES = {
    "operator/namespace.yaml": ".Values.namespace.create",
    "operator/deployment.yaml": ".Values.operator.enabled",
    "operator/disruption.yaml": ".Values.operator.enabled",
    "monitoring/dashboard.yaml": ".Values.monitoring.dashboard",
    "monitoring/network.yaml": ".Values.monitoring.podMonitor",
    "monitoring/pod-monitor.yaml": ".Values.monitoring.podMonitor",
    "monitoring/rules.yaml": ".Values.monitoring.rules",
    "packets": ".Values.packets.enabled",
    "policies/mutating": 'eq (include "securetenant.mutates" .) "true"',
}
_ADDON = "index .Values.roles.addons {name}"
_KEPT = ("operator/namespace.yaml",)
"""What stays when the chart is removed."""
_KEEP = "helm.sh/resource-policy: keep"
_SETTINGS = """{{- if .Values.settings.create }}
apiVersion: securetenant.io/v1alpha1
kind: TenancySettings
metadata:
  name: default
  annotations:
    helm.sh/resource-policy: keep
spec:
  {{- toYaml .Values.settings.spec | nindent 2 }}
{{- end }}
"""
_NAMESPACE = """{{- if ne .Release.Namespace "securetenant-system" }}
{{- fail "the policies name the namespace securetenant-system: write --namespace with it" }}
{{- end }}
"""
_DOCUMENTED = re.compile(r"^(?P<indent> *)# -- (?P<text>.*)$")


_TOLERATION = (
    "      - {key: node-role.kubernetes.io/control-plane, operator: Exists, effect: NoSchedule}\n"
)
_LABELS = (
    "    metadata:\n      labels: {app.kubernetes.io/name: securetenant-operator,"
    " app.kubernetes.io/part-of: securetenant}\n"
)
_IMAGE = (
    """        image: securetenant-operator
""",
    """        image: {{ include "securetenant.image" . }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
""",
)
_PULL_SECRETS = (
    """      automountServiceAccountToken: false
""",
    """      automountServiceAccountToken: false
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
      {{- toYaml . | nindent 6 }}
      {{- end }}
""",
)
_VALUES = (
    ("  replicas: 2\n", "  replicas: {{ .Values.operator.replicas }}\n"),
    _IMAGE,
    (
        """          requests: {cpu: 100m, memory: 128Mi}
          limits: {memory: 512Mi}
""",
        """          {{- toYaml .Values.operator.resources | nindent 10 }}
""",
    ),
    (
        """      nodeSelector: {kubernetes.io/os: linux}
""",
        """      nodeSelector:
        {{- toYaml .Values.operator.nodeSelector | nindent 8 }}
""",
    ),
    (
        _TOLERATION,
        """      {{- toYaml .Values.operator.tolerations | nindent 6 }}
""",
    ),
    _PULL_SECRETS,
    (
        _LABELS,
        """    metadata:
      labels:
        app.kubernetes.io/name: securetenant-operator
        app.kubernetes.io/part-of: securetenant
        {{- with .Values.operator.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.operator.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
""",
    ),
)
"""What of the Deployment a value says, and how it is written then."""


@click.command()
@click.argument("manifests", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--write", is_flag=True, help="Write what MANIFESTS hold into their charts.")
@click.option("--check", is_flag=True, help="Say whether the charts have what MANIFESTS hold.")
def chart(manifests: Path, *, write: bool, check: bool) -> None:
    """Make the Helm charts in MANIFESTS/charts of what is in MANIFESTS."""
    wrong = []
    charts = manifests / "charts"
    made = dict(_made(manifests))
    for path, text in made.items():
        target = charts / path
        if write:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        elif check and (not target.exists() or target.read_text(encoding="utf-8") != text):
            wrong.append(target)
    stale = [
        file
        for name in (_MAIN, _CRDS)
        for folder in ("templates", "platforms")
        for file in sorted((charts / name / folder).rglob("*.yaml"))
        if str(file.relative_to(charts)) not in made
    ]
    if write:
        for file in stale:
            file.unlink()
    elif check:
        wrong += stale
    for file in wrong:
        click.echo(f"{file} is not what {manifests} says.", err=True)
    if wrong:
        sys.exit(1)


def _made(manifests: Path) -> Iterator[tuple[str, str]]:
    """Yield the files that are made, by their path below ``charts``."""
    for folder in _FOLDERS:
        for name in _resources(manifests / folder):
            path = f"{folder}/{name}"
            text = (manifests / path).read_text(encoding="utf-8")
            yield f"{_MAIN}/templates/{path}", _template(path, text)
    yield f"{_MAIN}/templates/settings.yaml", _HEADER + _SETTINGS
    yield f"{_MAIN}/templates/namespace-check.yaml", _HEADER + _NAMESPACE
    for addon in sorted((manifests / "roles/addons").iterdir()):
        for name in _resources(addon):
            text = (addon / name).read_text(encoding="utf-8")
            switch = _ADDON.format(name=json.dumps(addon.name))
            path = f"roles/addons/{addon.name}/{name}"
            yield f"{_MAIN}/templates/{path}", _when(switch, _escaped(text))
    for definition in crds.build():
        body = {**definition, "metadata": {**definition["metadata"], "annotations": "KEEP"}}
        text = yaml.safe_dump(body, sort_keys=False, width=100)
        kept = "{{- if .Values.keep }}\n  annotations:\n    " + _KEEP + "\n  {{- end }}"
        text = _escaped(text).replace("annotations: KEEP", kept)
        name = definition["metadata"]["name"]
        yield f"{_CRDS}/templates/{name}.yaml", _HEADER + text
    for platform in sorted((manifests / _PLATFORMS).iterdir()):
        yield f"{_MAIN}/platforms/{platform.name}.yaml", _platform(manifests, platform)
    settings = next(
        each
        for each in crds.build()
        if each["spec"]["names"]["kind"] == kinds.TENANCY_SETTINGS.name
    )
    values = (manifests / "charts" / _MAIN / "values.yaml").read_text(encoding="utf-8")
    yield f"{_MAIN}/values.schema.json", _schema(yaml.safe_load(values), _spec_of(settings))
    for name in (_MAIN, _CRDS):
        text = (manifests / "charts" / name / "values.yaml").read_text(encoding="utf-8")
        head = (manifests / "charts" / name / "README.md.gotmpl").read_text(encoding="utf-8")
        yield f"{name}/README.md", head.replace("{{ values }}", _table(text))


def _platform(manifests: Path, component: Path) -> str:
    """Return the values that make of the settings what the component of a platform does."""
    text = (component / "kustomization.yaml").read_text(encoding="utf-8")
    default = (manifests / "settings/default.yaml").read_text(encoding="utf-8")
    before = yaml.safe_load(default)["spec"]
    after = copy.deepcopy(before)
    for each in yaml.safe_load(text)["patches"]:
        patch = yaml.safe_load(each["patch"])
        if isinstance(patch, dict):
            _merge(after, patch["spec"])
            continue
        for step in patch:
            where = re.fullmatch(r"/spec/(\w+)/-", step["path"])
            if step["op"] != "add" or where is None:
                raise click.ClickException(f"{component}: {step} is no step that is known here")
            after[where[1]].append(step["value"])
    changed = {key: each for key, each in after.items() if each != before.get(key)}
    values = yaml.safe_dump({"settings": {"spec": changed}}, sort_keys=False, width=100)
    return text.partition("apiVersion")[0] + values


def _merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """Merge as kustomize does for a kind of which it knows no keys of lists."""
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def _resources(folder: Path) -> list[str]:
    """Return the files that a kustomization names, without other folders."""
    text = (folder / "kustomization.yaml").read_text(encoding="utf-8")
    return [each for each in yaml.safe_load(text)["resources"] if each.endswith(".yaml")]


def _template(path: str, text: str) -> str:
    text = _escaped(text)
    if path == "operator/deployment.yaml":
        text = _deployment(text)
    if path in ("packets/receivers.yaml", "packets/senders.yaml"):
        text = _once(text, *_IMAGE)
        text = _once(text, *_PULL_SECRETS)
    if path == "operator/network.yaml":
        text = _network(text)
    if path == "monitoring/network.yaml":
        text = _once(text, ": monitoring}", ": {{ .Values.monitoring.namespace }}}")
    if path in _KEPT:
        text = _once(text, "  labels:\n", f"  annotations:\n    {_KEEP}\n  labels:\n")
    switch = _SWITCHES.get(path) or _SWITCHES.get(path.rpartition("/")[0])
    return _when(switch, text)


def _when(switch: str | None, text: str) -> str:
    if switch is None:
        return _HEADER + text
    return f"{_HEADER}{{{{- if {switch} }}}}\n{text.rstrip()}\n{{{{- end }}}}\n"


def _escaped(text: str) -> str:
    """Return a text that Helm's templates leave as it is."""
    return text.replace("{{", "{{ `{{` }}")


def _once(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise click.ClickException(f"{old!r} stands {text.count(old)} times, and should once")
    return text.replace(old, new)


def _deployment(text: str) -> str:
    """Put values where a platform's own differ."""
    for old, new in _VALUES:
        text = _once(text, old, new)
    return text


def _network(text: str) -> str:
    old = """  - ports:
    - {port: 443, protocol: TCP}
    - {port: 6443, protocol: TCP}
    - {port: 10250, protocol: TCP}
"""
    return _once(text, old, "  {{- toYaml .Values.operator.egress | nindent 2 }}\n")


# --- values ---------------------------------------------------------------------------------


def _spec_of(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a kind's spec, as JSON Schema knows it."""
    (version,) = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return dict(_plain(schema))


def _plain(schema: Any) -> Any:
    """Leave out what is Kubernetes' own, and refuse fields that are not named."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    found = {
        key: (
            {name: _plain(each) for name, each in value.items()}
            if key == "properties"
            else _plain(value)
        )
        for key, value in schema.items()
        if not key.startswith("x-kubernetes-") and key not in ("format", "description")
    }
    if "properties" in found:
        found["additionalProperties"] = False
    return found


_ENUMS = {
    "image.pullPolicy": ["Always", "IfNotPresent", "Never"],
    "policies.mutating": ["Always", "Auto", "Never"],
}
_OPEN = (
    "operator.nodeSelector",
    "operator.podAnnotations",
    "operator.podLabels",
    "operator.resources",
)
"""Maps whose keys are the user's."""


def _schema(values: dict[str, Any], settings: dict[str, Any]) -> str:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_schema_of("", values, settings),
    }
    # Helm gives these to every chart.
    schema["properties"]["global"] = {"type": "object"}
    return json.dumps(schema, indent=2) + "\n"


def _schema_of(path: str, value: Any, settings: dict[str, Any]) -> dict[str, Any]:
    if path == "settings.spec":
        return settings
    if path in _ENUMS:
        return {"enum": _ENUMS[path]}
    if isinstance(value, dict):
        if path in _OPEN:
            return {"type": "object"}
        prefix = f"{path}." if path else ""
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                key: _schema_of(f"{prefix}{key}", each, settings) for key, each in value.items()
            },
        }
    if isinstance(value, list):
        return {"type": "array", "items": {"type": "object"}}
    if isinstance(value, int) and not isinstance(value, bool):
        return {"type": "integer", "minimum": 1}
    return {"type": "boolean" if isinstance(value, bool) else "string"}


def _table(text: str) -> str:
    """Return the table of values: each with a comment that begins with two dashes."""
    rows = ["| Value | Default | What it is |", "|---|---|---|"]
    path: list[tuple[int, str]] = []
    told = ""
    values = yaml.safe_load(text)
    for line in text.splitlines():
        if found := _DOCUMENTED.match(line):
            told = found["text"]
            continue
        named = re.match(r"^(?P<indent> *)(?P<key>[A-Za-z-]+):", line)
        if named is None:
            if told and (more := re.match(r"^ *# (?P<text>.*)$", line)):
                told = f"{told} {more['text']}"
            continue
        depth = len(named["indent"])
        path = [each for each in path if each[0] < depth]
        path.append((depth, named["key"]))
        if told:
            keys = [key for _, key in path]
            default: Any = values
            for key in keys:
                default = default[key]
            shown = json.dumps(default)
            shown = shown if len(shown) <= 60 else "see values.yaml"  # noqa: PLR2004 - a column.
            rows.append(f"| `{'.'.join(keys)}` | `{shown}` | {told} |")
            told = ""
    return "\n".join(rows)
