"""What holds for all tenants: settings, admission policies, and who may get around them."""

from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref
from securetenant.api.tenancysettings import SETTINGS_NAME_RULE, SettingsSpec
from securetenant.plan import override, pack
from securetenant.plan.override import Binding
from securetenant.reconcile import tenants
from securetenant.reconcile.tenants import RefusedSpecError

_NO_SETTINGS = (
    "There is no TenancySettings named default, so nothing is changed. Apply yours again, or"
    " install the one that comes along: kubectl apply -k manifests/settings"
)


class Platform:
    """The state of the platform as last seen; each ``take`` says whether it is news."""

    def __init__(self) -> None:
        self.settings: SettingsSpec | None = None
        self.settings_problem = _NO_SETTINGS
        self.settings_body: Body | None = None
        """The TenancySettings as last seen, for their status."""
        self.mutates = False
        """Whether the API server knows mutating policies (Kubernetes 1.36 or newer)."""
        self.has_level = False
        """Whether the priority level of tenants is installed."""
        self._policies: dict[Ref, str] = {}
        self._granting: set[str] = set()
        self._bindings: dict[str, Binding] = {}

    @property
    def policies_problem(self) -> str:
        """Say which admission policies are not in force as installed, or nothing."""
        return pack.problem(self._policies, mutates=self.mutates)

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
        self.settings_body = body
        before = (self.settings, self.settings_problem)
        try:
            found = tenants.validate(SettingsSpec, body.get("spec"))
            # The same object while it says the same: what follows it is told by identity.
            self.settings = self.settings if found == self.settings else found
            self.settings_problem = ""
        except RefusedSpecError as error:
            self.settings = None
            self.settings_problem = (
                f"TenancySettings default is refused, so nothing is changed: {error}"
            )
        return before != (self.settings, self.settings_problem)

    def take_status(self, answer: Body) -> None:
        """Take the status that was written, and nothing else.

        The answer may be of a newer generation, whose spec is still to be seen: a status that
        names it would speak of what nobody has looked at.
        """
        if self.settings_body is not None:
            self.settings_body = {**self.settings_body, "status": answer.get("status") or {}}

    def lose_settings(self, ref: Ref) -> bool:
        """Take note that the TenancySettings are gone."""
        if not SETTINGS_NAME_RULE.holds(ref.name):
            return False
        known = self.settings_body is not None
        self.settings, self.settings_problem, self.settings_body = None, _NO_SETTINGS, None
        return known

    def take(self, ref: Ref, body: Body) -> bool:
        """Take a policy, a binding of one, a role, a binding of one, or a priority level."""
        match ref.kind:
            case kinds.PRIORITY_LEVEL.name:
                return self._take_level(ref.name, present=True)
            case kinds.CLUSTER_ROLE.name:
                return self._take_role(ref.name, grants=override.grants(body))
            case kinds.CLUSTER_ROLE_BINDING.name:
                return self._take_binding(ref.name, override.binding(body))
            case _:
                digest = pack.digest(body)
                before, self._policies[ref] = self._policies.get(ref), digest
                return before != digest

    def lose(self, ref: Ref) -> bool:
        """Take note that one of these is gone."""
        match ref.kind:
            case kinds.PRIORITY_LEVEL.name:
                return self._take_level(ref.name, present=False)
            case kinds.CLUSTER_ROLE.name:
                return self._take_role(ref.name, grants=False)
            case kinds.CLUSTER_ROLE_BINDING.name:
                return self._take_binding(ref.name, None)
            case _:
                return self._policies.pop(ref, None) is not None

    def _take_level(self, name: str, *, present: bool) -> bool:
        if name != names.PRIORITY_LEVEL or self.has_level == present:
            return False
        self.has_level = present
        return True

    def _take_role(self, name: str, *, grants: bool) -> bool:
        changed = grants != (name in self._granting)
        if grants:
            self._granting.add(name)
        else:
            self._granting.discard(name)
        return changed

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
            case kinds.PRIORITY_LEVEL.name:
                return [Ref(kind, "", names.PRIORITY_LEVEL)]
            case kinds.CLUSTER_ROLE.name:
                return [Ref(kind, "", name) for name in self._granting]
            case kinds.CLUSTER_ROLE_BINDING.name:
                return [Ref(kind, "", name) for name in self._bindings]
            case _:
                return [ref for ref in self._policies if ref.kind == kind]
