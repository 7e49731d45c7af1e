"""What holds for all tenants: settings, admission policies, and who may get around them."""

from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref
from securetenant.api.tenancysettings import SETTINGS_NAME_RULE, SettingsSpec
from securetenant.plan import override, pack, roles, schemas, shipped
from securetenant.plan.override import Binding
from securetenant.plan.pack import Level
from securetenant.plan.roles import Allowed
from securetenant.reconcile import tenants
from securetenant.reconcile.tenants import RefusedSpecError

_NO_SETTINGS = (
    "There is no TenancySettings named default, so nothing is changed. Apply yours again, or"
    " install the one that comes along: kubectl apply -k manifests/settings"
)


class Platform:
    """The state of the platform as last seen; each ``take`` says whether it is news."""

    def __init__(self) -> None:
        self._settings: SettingsSpec | None = None
        self._settings_problem = _NO_SETTINGS
        self._crds: dict[str, str] = {}
        """What is wrong with our CRDs, by their names."""
        self._spoiled = ""
        """What was wrong with one of them first: objects may have been seen without a part."""
        self.settings_body: Body | None = None
        """The TenancySettings as last seen, for their status."""
        self._written = 0
        """The resourceVersion of our last status write: what is older has the status of before."""
        self.mutates = False
        """Whether the API server knows mutating policies (Kubernetes 1.36 or newer)."""
        self.level = Level.MISSING
        """The priority level of tenants."""
        self._roles: dict[str, Allowed] = {}
        """What our ClusterRoles allow."""
        self._policies: dict[Ref, str] = {}
        self._granting: set[str] = set()
        self._bindings: dict[str, Binding] = {}

    @property
    def settings(self) -> SettingsSpec | None:
        """Return the settings, if they can be relied on: without them nothing is changed."""
        return None if self._spoiled else self._settings

    @property
    def settings_problem(self) -> str:
        """Say why there are no settings to go by."""
        return self._spoiled or self._settings_problem

    @property
    def crds_problem(self) -> str:
        """Say what is wrong with our CRDs, or was: then whatever was seen may lack a part."""
        return self._spoiled

    @property
    def must_begin_again(self) -> bool:
        """Tell whether our CRDs are as they should be again, after they were not."""
        return bool(self._spoiled) and not any(self._crds.values())

    @property
    def policies_problem(self) -> str:
        """Say which admission policies are not in force as installed, or nothing."""
        return pack.problem(self._policies, shipped.DIGESTS, mutates=self.mutates)

    @property
    def roles_problem(self) -> str:
        """Say which roles in tenants' namespaces allow something else than this version's."""
        return roles.problem(self._roles, shipped.ROLES, roles.TENANTS)

    @property
    def access_problem(self) -> str:
        """Say the same of those that tenants' members hold."""
        return roles.problem(self._roles, shipped.ROLES, roles.ACCESS)

    @property
    def own_roles_problem(self) -> str:
        """Say the same of those of our own identities."""
        return roles.problem(self._roles, shipped.ROLES, roles.OWN)

    @property
    def remark(self) -> str:
        """Say what the policies cannot do on this cluster, or nothing."""
        return "" if self.mutates else pack.WITHOUT_MUTATION

    @property
    def override_holders(self) -> tuple[str, ...]:
        """Return everybody who holds the verb override, sorted."""
        return override.holders(self._granting, self._bindings)

    def take_settings(self, body: Body) -> bool:
        """Take the TenancySettings as they now are."""
        if not SETTINGS_NAME_RULE.holds(body["metadata"]["name"]):
            return False
        if int(body["metadata"]["resourceVersion"]) < self._written:
            body = {**body, "status": (self.settings_body or {}).get("status") or {}}
        self.settings_body = body
        before = (self.settings, self.settings_problem)
        try:
            found = tenants.validate(SettingsSpec, body.get("spec"))
            # The same object while it says the same: what follows it is told by identity.
            self._settings = self._settings if found == self._settings else found
            self._settings_problem = ""
        except RefusedSpecError as error:
            self._settings = None
            self._settings_problem = (
                f"TenancySettings default is refused, so nothing is changed: {error}"
            )
        return before != (self.settings, self.settings_problem)

    def take_status(self, answer: Body) -> None:
        """Take the status that was written, and nothing else.

        The answer may be of a newer generation, whose spec is still to be seen: a status that
        names it would speak of what nobody has looked at.
        """
        if self.settings_body is not None:
            self._written = int(answer["metadata"]["resourceVersion"])
            self.settings_body = {**self.settings_body, "status": answer.get("status") or {}}

    def lose_settings(self, ref: Ref) -> bool:
        """Take note that the TenancySettings are gone."""
        if not SETTINGS_NAME_RULE.holds(ref.name):
            return False
        known = self.settings_body is not None
        self._settings, self._settings_problem, self.settings_body = None, _NO_SETTINGS, None
        return known

    def take(self, ref: Ref, body: Body) -> bool:
        """Take a policy, a binding of one, a role, a binding of one, a CRD, or a priority level."""
        match ref.kind:
            case kinds.CRD.name:
                return self._take_crd(ref.name, body)
            case kinds.PRIORITY_LEVEL.name:
                return self._take_level(ref.name, pack.level(body))
            case kinds.CLUSTER_ROLE.name:
                return self._take_role(ref.name, body)
            case kinds.CLUSTER_ROLE_BINDING.name:
                return self._take_binding(ref.name, override.binding(body))
            case _:
                digest = pack.digest(body)
                before, self._policies[ref] = self._policies.get(ref), digest
                return before != digest

    def lose(self, ref: Ref) -> bool:
        """Take note that one of these is gone."""
        match ref.kind:
            case kinds.CRD.name:
                return self._take_crd(ref.name, None)
            case kinds.PRIORITY_LEVEL.name:
                return self._take_level(ref.name, Level.MISSING)
            case kinds.CLUSTER_ROLE.name:
                return self._take_role(ref.name, None)
            case kinds.CLUSTER_ROLE_BINDING.name:
                return self._take_binding(ref.name, None)
            case _:
                return self._policies.pop(ref, None) is not None

    def _take_level(self, name: str, level: Level) -> bool:
        if name != names.PRIORITY_LEVEL or self.level is level:
            return False
        self.level = level
        return True

    def _take_crd(self, name: str, body: Body | None) -> bool:
        before = self._spoiled
        self._crds[name] = schemas.problem(name, body)
        self._spoiled = next(filter(None, self._crds.values()), self._spoiled)
        return before != self._spoiled

    def _take_role(self, name: str, body: Body | None) -> bool:
        before = (name in self._granting, self._roles.pop(name, None))
        if body is not None and name in roles.COMPARED:
            self._roles[name] = roles.allowed(body)
        if body is not None and override.grants(body):
            self._granting.add(name)
        else:
            self._granting.discard(name)
        return before != (name in self._granting, self._roles.get(name))

    def _take_binding(self, name: str, found: Binding | None) -> bool:
        before = self._bindings.pop(name, None)
        if found is not None:
            self._bindings[name] = found
        return before != found and any(
            each is not None and each.role in self._granting for each in (before, found)
        )

    def known(self, kind: str) -> list[Ref]:
        """Return what is known of a kind: for the sweep after a list."""
        match kind:
            case kinds.CRD.name:
                return [Ref(kind, "", name) for name in self._crds]
            case kinds.PRIORITY_LEVEL.name:
                return [Ref(kind, "", names.PRIORITY_LEVEL)]
            case kinds.CLUSTER_ROLE.name:
                return [Ref(kind, "", name) for name in self._granting | self._roles.keys()]
            case kinds.CLUSTER_ROLE_BINDING.name:
                return [Ref(kind, "", name) for name in self._bindings]
            case _:
                return [ref for ref in self._policies if ref.kind == kind]
