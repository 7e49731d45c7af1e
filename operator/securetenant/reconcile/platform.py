"""What holds for all tenants: the TenancySettings, and whether our CRDs can be relied on."""

from securetenant.api.objects import Body, Ref
from securetenant.api.tenancysettings import SETTINGS_NAME_RULE, SettingsSpec
from securetenant.plan import schemas
from securetenant.reconcile import tenants
from securetenant.reconcile.tenants import RefusedSpecError

_NO_SETTINGS = (
    "There is no TenancySettings named default, so nothing is changed. Apply your overlay again, or"
    " install the one that comes along: kubectl apply -k manifests/settings"
)


class Platform:
    """The settings and CRDs as last seen; each ``take`` tells whether that changes anything."""

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
            # The same object while it says the same: what follows it is known by identity.
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
        """Record that the TenancySettings are gone."""
        if not SETTINGS_NAME_RULE.holds(ref.name):
            return False
        known = self.settings_body is not None
        self._settings, self._settings_problem, self.settings_body = None, _NO_SETTINGS, None
        return known

    def take_crd(self, name: str, body: Body | None) -> bool:
        """Take one of our CRDs as it now is, or that it is gone."""
        before = self._spoiled
        self._crds[name] = schemas.problem(name, body)
        self._spoiled = next(filter(None, self._crds.values()), self._spoiled)
        return before != self._spoiled
