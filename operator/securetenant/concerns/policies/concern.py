"""What is installed: how it joins the work of the machine."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from securetenant.api import kinds, names, status
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.concerns.policies.installed import Installed
from securetenant.plan import pack
from securetenant.reconcile.concern import Concern, Presence, Watch
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status.outcome import Finding
from securetenant.status.settings import Report
from securetenant.status.statements import Remark, Statement

_WATCHED = (
    (kinds.VALIDATING_POLICY, names.PACK_SELECTOR),
    (kinds.VALIDATING_BINDING, names.PACK_SELECTOR),
    (kinds.CLUSTER_ROLE, ""),
    (kinds.CLUSTER_ROLE_BINDING, ""),
)
_MUTATING = (kinds.MUTATING_POLICY, kinds.MUTATING_BINDING)
"""The policies that fill in what pods leave out, where the API server knows that kind."""


class Policies(Concern):
    """Says in every status what of the policies is not in force."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._installed = Installed()

    def watches(self) -> Sequence[Watch]:
        """Follow the pack, and all roles: any of them may give the verb override."""
        return (
            *(self._watch(kind, selector) for kind, selector in _WATCHED),
            *(self._watch(kind, names.PACK_SELECTOR, Presence.NEWER) for kind in _MUTATING),
        )

    def _watch(self, kind: Kind, selector: str, presence: Presence = Presence.REQUIRED) -> Watch:
        return Watch(
            kind=kind,
            selector=selector,
            seen=self.take,
            gone=lambda ref, _: self.take(ref, None),
            known=self._installed.known,
            presence=presence,
            served=self.mutating_served,
        )

    def take(self, ref: Ref, body: Body | None) -> None:
        """Take one of these as it now is; nothing is one that is gone."""
        if self._installed.take(ref, body):
            self._changed()

    def mutating_served(self) -> None:
        """Expect mutating policies from now on: the API server knows them."""
        if not self._installed.mutates:
            self._installed.mutates = True
            self._changed()

    def settings_changed(self) -> None:
        """Our CRDs may not be as they should be: then the policies read what lacks a part."""
        self._measure()

    def _changed(self) -> None:
        self._measure()
        self._machine.tell_all()

    def _measure(self) -> None:
        problems = (
            self._machine.platform.crds_problem,
            self._installed.policies_problem,
            self._installed.roles_problem,
        )
        self._machine.meter.policies_in_force(not any(problems))

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say what is not in force as installed."""
        found = (
            (status.POLICIES_IN_FORCE, status.POLICIES_CHANGED, self._installed.policies_problem),
            (status.POLICIES_IN_FORCE, status.ROLES_CHANGED, self._installed.roles_problem),
            (status.ACCESS_SCOPED, status.ROLES_CHANGED, self._installed.access_problem),
        )
        for type, reason, problem in found:
            if problem:
                yield Finding(type=type, reason=reason, message=problem)
        if added := self._installed.additions:
            yield Remark(type=status.ACCESS_SCOPED, message=added)
        if not self._installed.mutates:
            yield Remark(type=status.POLICIES_IN_FORCE, message=pack.WITHOUT_MUTATION)

    def report(self, report: Report) -> Report:
        """Add the same, and who may get around the policies."""
        problems = (self._installed.roles_problem, self._installed.own_roles_problem)
        return replace(
            report,
            policies_problem=self._installed.policies_problem,
            roles_problem=". ".join(filter(None, problems)),
            remark="" if self._installed.mutates else pack.WITHOUT_MUTATION,
            holders=self._installed.override_holders,
        )
