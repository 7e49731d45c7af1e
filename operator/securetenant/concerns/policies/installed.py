"""Admission policies and roles as last seen, against those of this version."""

from securetenant.api import kinds
from securetenant.api.objects import Body, Ref
from securetenant.plan import override, pack, roles, shipped
from securetenant.plan.override import Binding
from securetenant.plan.roles import Allowed, Source


class Installed:
    """What is installed, as last seen; each ``take`` tells whether it changed."""

    def __init__(self) -> None:
        self.mutates = False
        """Whether the API server knows mutating policies (Kubernetes 1.36 or newer)."""
        self._roles: dict[str, Allowed] = {}
        """What our ClusterRoles allow."""
        self._sources: dict[str, Source] = {}
        """ClusterRoles whose rules go to the roles of members."""
        self._told: dict[tuple[str, ...], str] = {}
        """What is wrong with which roles, and of none what is added, until one changes: each tenant
        asks."""
        self._policies: dict[Ref, str] = {}
        self._granting: set[str] = set()
        self._bindings: dict[str, Binding] = {}

    @property
    def policies_problem(self) -> str:
        """Say which admission policies are not in force as installed, or nothing."""
        return pack.problem(self._policies, shipped.DIGESTS, mutates=self.mutates)

    @property
    def roles_problem(self) -> str:
        """Say which roles in tenants' namespaces allow something else than this version's."""
        return self._roles_problem(roles.TENANTS)

    @property
    def access_problem(self) -> str:
        """Say the same of those that tenants' members hold."""
        return self._roles_problem(roles.ACCESS)

    @property
    def own_roles_problem(self) -> str:
        """Say the same of those of our own identities."""
        return self._roles_problem(roles.OWN)

    def _roles_problem(self, compared: tuple[str, ...]) -> str:
        if compared not in self._told:
            problem = roles.problem(self._roles, shipped.ROLES, compared, self._sources)
            self._told[compared] = problem
        return self._told[compared]

    @property
    def additions(self) -> str:
        """Name the ClusterRoles of the platform whose rights members hold, or nothing."""
        if () not in self._told:
            self._told[()] = roles.additions(self._roles, self._sources)
        return self._told[()]

    @property
    def override_holders(self) -> tuple[str, ...]:
        """Return everybody who holds the verb override, sorted."""
        return override.holders(self._granting, self._bindings)

    def take(self, ref: Ref, body: Body | None) -> bool:
        """Take a policy, a binding of one, a role, or a binding of one; nothing is one gone."""
        if ref.kind == kinds.CLUSTER_ROLE.name:
            return self._take_role(ref.name, body)
        if ref.kind == kinds.CLUSTER_ROLE_BINDING.name:
            return self._take_binding(ref.name, None if body is None else override.binding(body))
        before = self._policies.pop(ref, None)
        if body is not None:
            self._policies[ref] = pack.digest(body)
        return before != self._policies.get(ref)

    def _take_role(self, name: str, body: Body | None) -> bool:
        self._told.clear()
        before = (
            name in self._granting,
            self._roles.pop(name, None),
            self._sources.pop(name, None),
        )
        if body is not None and name in roles.COMPARED:
            self._roles[name] = roles.allowed(body)
        if body is not None and (source := roles.source(body)) is not None:
            self._sources[name] = source
        if body is not None and override.grants(body):
            self._granting.add(name)
        else:
            self._granting.discard(name)
        return before != (
            name in self._granting,
            self._roles.get(name),
            self._sources.get(name),
        )

    def _take_binding(self, name: str, found: Binding | None) -> bool:
        before = self._bindings.pop(name, None)
        if found is not None:
            self._bindings[name] = found
        return before != found and any(
            each is not None and each.role in self._granting for each in (before, found)
        )

    def known(self, kind: str) -> list[Ref]:
        """Return what is known of a kind: for the sweep after a list."""
        if kind == kinds.CLUSTER_ROLE.name:
            known = self._granting | self._roles.keys() | self._sources.keys()
            return [Ref(kind, "", name) for name in known]
        if kind == kinds.CLUSTER_ROLE_BINDING.name:
            return [Ref(kind, "", name) for name in self._bindings]
        return [ref for ref in self._policies if ref.kind == kind]
