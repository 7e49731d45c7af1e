"""What of a cluster an answer is made from."""

import functools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from securetenant.api import names
from securetenant.api.objects import Body
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.checks import foreign, live
from securetenant.checks.declared import Declared
from securetenant.checks.reachability import World


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Objects as the API server gave them, each with apiVersion and kind; none: not asked for."""

    tenants: Mapping[str, Body]
    settings: SettingsSpec | None = None
    namespaces: tuple[Body, ...] = ()
    is_whole: bool = True
    """Whether every namespace is among them."""
    network_policies: tuple[Body, ...] = ()
    cluster_policies: tuple[Body, ...] = ()
    foreign_policies: tuple[Body, ...] = ()
    """Of kinds that are not evaluated."""
    pods: tuple[Body, ...] = ()

    @functools.cached_property
    def owners(self) -> dict[str, str]:
        """Return whose each namespace is; of nobody's, an empty text."""
        return {
            each["metadata"]["name"]: (each["metadata"].get("labels") or {}).get(
                names.TENANT_LABEL, ""
            )
            for each in self.namespaces
        }

    def of_tenant(self, tenant: str) -> tuple[str, ...]:
        """Return the namespaces of a tenant, sorted."""
        return self._by_tenant.get(tenant, ())

    @functools.cached_property
    def _by_tenant(self) -> dict[str, tuple[str, ...]]:
        found = defaultdict[str, list[str]](list)
        for name, owner in self.owners.items():
            found[owner].append(name)
        return {owner: tuple(sorted(spaces)) for owner, spaces in found.items()}

    def specs(self) -> dict[str, TenantSpec]:
        """Return every spec that can be read."""
        found = {}
        for name, body in self.tenants.items():
            try:
                found[name] = TenantSpec.model_validate(body.get("spec"))
            except ValidationError:
                continue
        return found

    def world(self, *, with_pods: bool = True) -> World:
        """Return who can reach what."""
        return World(
            map(live.namespace, self.namespaces),
            live.pods(self.pods) if with_pods else (),
            self.network_policies,
            self.cluster_policies,
        )

    def declared(self) -> Declared:
        """Return which flows the specs mean."""
        return Declared(self.specs(), self.settings)

    def unclear(self) -> dict[str, list[str]]:
        """Return what, by namespace, makes it unclear who can reach what."""
        spaces = list(map(live.namespace, self.namespaces))
        found = foreign.selecting(self.foreign_policies, spaces)
        return {name: list(reasons) for name, reasons in found.items()}
