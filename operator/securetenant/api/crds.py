"""CustomResourceDefinitions from the models: the models are the only source.

Kubernetes accepts structural schemas only (no ``$ref``, no null, no ``const``), so the JSON
schema of pydantic is rewritten: references are put in place, ``X | None`` becomes ``X`` that
may be absent, rules become ``x-kubernetes-validations``.
"""

from collections.abc import Mapping
from typing import Any

from securetenant.api import kinds, names, status
from securetenant.api.kinds import Kind
from securetenant.api.rules import Model, Rule
from securetenant.api.securetenant import NAME_RULE, SELF_RULE, SecureTenant
from securetenant.api.tenancysettings import SETTINGS_NAME_RULE, TenancySettings
from securetenant.api.tenantpolicy import TenantPolicy

Schema = dict[str, Any]

_DROPPED = frozenset({"title", "default", "additionalProperties", "json_schema_extra"})


def build() -> tuple[Schema, ...]:
    """Return every CustomResourceDefinition, in the order in which they are installed."""
    return (
        _definition(
            kinds.SECURE_TENANT,
            SecureTenant,
            short_names=("sten",),
            columns=(
                _column("Ready", _condition(status.READY, "status")),
                _column("Reason", _condition(status.READY, "reason")),
                _column("Namespaces", ".status.namespaces.summary"),
                _column("Verified", _condition(status.ISOLATION_VERIFIED, "status")),
                _column("Quota", ".status.quota.summary"),
                _column("Age", ".metadata.creationTimestamp", type="date"),
                _column("Lockdown", ".spec.lockdown", priority=1),
                _column("Message", _condition(status.READY, "message"), priority=1),
            ),
            rules=(NAME_RULE, SELF_RULE),
        ),
        _definition(
            kinds.TENANCY_SETTINGS,
            TenancySettings,
            short_names=(),
            columns=(
                _column("Ready", _condition(status.READY, "status")),
                _column("Reason", _condition(status.READY, "reason")),
                _column("Age", ".metadata.creationTimestamp", type="date"),
                _column("Message", _condition(status.READY, "message"), priority=1),
            ),
            rules=(SETTINGS_NAME_RULE,),
        ),
        _definition(
            kinds.TENANT_POLICY,
            TenantPolicy,
            short_names=(),
            columns=(
                _column("Tenant", ".spec.tenant"),
                _column("Ready", _condition(status.READY, "status")),
                _column("Reason", _condition(status.READY, "reason")),
                _column("Verified", _condition(status.ISOLATION_VERIFIED, "status")),
                _column("PodSecurity", ".spec.podSecurity.level"),
                _column("Age", ".metadata.creationTimestamp", type="date"),
                _column("Lockdown", ".spec.lockdown", priority=1),
            ),
            rules=(),
        ),
    )


def structural(model: type[Model]) -> Schema:
    """Return the structural schema of a model."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    models = {each.__name__: each for each in _models()}
    return _Rewriter(raw.get("$defs", {}), models).rewrite({**raw, "$model": model.__name__})


class _Rewriter:
    def __init__(self, definitions: Mapping[str, Schema], models: dict[str, type[Model]]) -> None:
        self._definitions = definitions
        self._models = models

    def rewrite(self, node: Mapping[str, Any]) -> Schema:
        """Return the node as Kubernetes wants it."""
        node = self._inlined(node)
        result = {
            key: value
            for key, value in node.items()
            if key not in _DROPPED and not key.startswith("$")
        }
        if "const" in result:
            result["enum"] = [result.pop("const")]
        if "x-kubernetes-int-or-string" in result:
            result.pop("anyOf", None)
        if "enum" in result:
            result.setdefault("type", "string")
        if "description" in result:
            result["description"] = " ".join(result["description"].split())
        if "properties" in node:
            result["properties"] = {
                key: self.rewrite(value) for key, value in node["properties"].items()
            }
        if "items" in node:
            result["items"] = self.rewrite(node["items"])
        if isinstance(node.get("additionalProperties"), Mapping):
            result["additionalProperties"] = self.rewrite(node["additionalProperties"])
        rules = self._models[node["$model"]].rules if "$model" in node else ()
        if rules:
            result["x-kubernetes-validations"] = [rule.schema() for rule in rules]
        return result

    def _inlined(self, node: Mapping[str, Any]) -> Schema:
        """Resolve a reference or an optional; the outer description and markers win."""
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            outer = {key: value for key, value in node.items() if key != "$ref"}
            return self._inlined({**self._definitions[name], "$model": name, **outer})
        if "anyOf" in node and not node.get("x-kubernetes-int-or-string"):
            present = [each for each in node["anyOf"] if each.get("type") != "null"]
            if len(present) != 1:
                raise ValueError(f"A union has no structural schema: {node}")
            outer = {key: value for key, value in node.items() if key != "anyOf"}
            return self._inlined({**present[0], **outer})
        return dict(node)


def _models() -> list[type[Model]]:
    """Return every model class there is: rules are looked up by class name."""
    found: list[type[Model]] = []
    waiting: list[type[Model]] = [Model]
    while waiting:
        each = waiting.pop()
        found.append(each)
        waiting.extend(each.__subclasses__())
    return found


def _definition(
    kind: Kind,
    model: type[Model],
    *,
    short_names: tuple[str, ...],
    columns: tuple[Schema, ...],
    rules: tuple[Rule, ...],
) -> Schema:
    schema = structural(model)
    if rules:
        schema["x-kubernetes-validations"] = [rule.schema() for rule in rules]
    version: Schema = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": list(columns),
        "schema": {"openAPIV3Schema": schema},
    }
    if "status" in schema["properties"]:
        schema["properties"]["status"]["default"] = dict(status.UNSEEN)
        version["subresources"] = {"status": {}}
    spelled = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
        "categories": ["tenancy"],
    }
    if short_names:
        spelled["shortNames"] = list(short_names)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            "labels": {"app.kubernetes.io/part-of": names.MANAGED_BY},
        },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": spelled,
            "versions": [version],
        },
    }


def _column(name: str, path: str, *, type: str = "string", priority: int = 0) -> Schema:
    column: Schema = {"name": name, "type": type, "jsonPath": path}
    return {**column, "priority": priority} if priority else column


def _condition(type: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{type}")].{field}'
