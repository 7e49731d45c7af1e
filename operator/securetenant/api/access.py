"""Access: who may do what in a tenant's namespaces."""

import datetime
import re
import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from securetenant.api.rules import Model, Rule, listed

Role = Literal["Admin", "Developer", "Viewer"]
ROLES: tuple[Role, ...] = ("Admin", "Developer", "Viewer")

# Simpler than Kubernetes' own formats, whose cost over 10,000 subjects no CRD may have.
_ACCOUNT = "[a-z0-9][-.a-z0-9]*"
_NAMESPACE = "[a-z0-9][-a-z0-9]*"
_LONGEST = 253
_ACCOUNT_IN_SHORT = "[-a-z0-9]+/[-.a-z0-9]+"
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
"""RFC 3339, section 5.6."""
_NO_TIME = "a time has a date, seconds and a zone, like 2026-12-01T18:00:00Z"
_MALFORMED = r"^\pZ|\pZ$|[\pC*]"


def _is_malformed(name: str) -> bool:
    """Tell whether a name is not what it looks like."""
    categories = [unicodedata.category(each)[0] for each in name]
    return "*" in name or "Z" in (categories[:1] + categories[-1:]) or "C" in categories


def is_foreign_user(name: str) -> bool:
    """Tell whether a user's name is one of Kubernetes' own, or of SecureTenant."""
    return name.startswith(("system:", "securetenant:"))


def order(subject: "Subject") -> tuple[str, str, str]:
    """Return what subjects are sorted by."""
    return (subject.kind, subject.namespace or "", subject.name)


class Subject(Model):
    """Somebody: a user, a group, or a ServiceAccount of the tenant or of the platform."""

    kind: Literal["User", "Group", "ServiceAccount"]
    """User, Group or ServiceAccount."""
    name: Annotated[str, Field(min_length=1, max_length=_LONGEST)]
    """The name, as the API server's authentication gives it."""
    namespace: Annotated[str, Field(max_length=63)] | None = None
    """For a ServiceAccount: one of the tenant's own namespaces, or one of subjectNamespaces of
    TenancySettings."""

    rules = (
        Rule(
            cel="self.kind == 'ServiceAccount' || !(self.name.startsWith('system:')"
            " || self.name.startsWith('securetenant:'))",
            holds=lambda self: self.kind == "ServiceAccount" or not is_foreign_user(self.name),
            message="names under system: stand for Kubernetes itself and for everybody"
            " (system:authenticated), those under securetenant: for SecureTenant; name a user or a"
            " group of your own",
            path=".name",
        ),
        Rule(
            cel=f"self.kind == 'ServiceAccount' || !self.name.matches(r'{_MALFORMED}')",
            holds=lambda self: self.kind == "ServiceAccount" or not _is_malformed(self.name),
            message="a name is compared as it is: it has no space at its ends, no invisible"
            " character and no asterisk, which would stand for nobody; name the user or the group"
            " in full",
            path=".name",
        ),
        Rule(
            cel=f"self.kind != 'User' || !self.name.matches('^{_ACCOUNT_IN_SHORT}$')",
            holds=lambda self: (
                self.kind != "User" or re.fullmatch(_ACCOUNT_IN_SHORT, self.name) is None
            ),
            message="namespace/name is how people write a ServiceAccount; use kind ServiceAccount"
            " with its name and namespace",
            path=".name",
        ),
        Rule(
            cel="(self.kind == 'ServiceAccount') == has(self.__namespace__)",
            holds=lambda self: (self.kind == "ServiceAccount") == (self.namespace is not None),
            message="a ServiceAccount needs its namespace; a User or Group has none",
            path=".namespace",
        ),
        Rule(
            cel=f"self.kind != 'ServiceAccount' || self.name.matches('^{_ACCOUNT}$')",
            holds=lambda self: (
                self.kind != "ServiceAccount" or re.fullmatch(_ACCOUNT, self.name) is not None
            ),
            message="a ServiceAccount's name has lower-case letters, digits, '-' and '.'",
            path=".name",
        ),
        Rule(
            cel=f"!has(self.__namespace__) || self.__namespace__.matches('^{_NAMESPACE}$')",
            holds=lambda self: (
                self.namespace is None or re.fullmatch(_NAMESPACE, self.namespace) is not None
            ),
            message="namespace is the name of a namespace, like acme-ci",
            path=".namespace",
        ),
    )


def _check_time(text: str) -> str:
    if _TIME.fullmatch(text) is None:
        raise ValueError(_NO_TIME)
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(_NO_TIME) from error
    return text


class Grant(Model):
    """One grant of access."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """What you call this grant, for example devs."""
    role: Role
    """Admin, Developer or Viewer: the ClusterRoles securetenant:admin, securetenant:developer
    and securetenant:viewer, bound only in the tenant's namespaces."""
    subjects: Annotated[
        tuple[Subject, ...],
        Field(min_length=1, max_length=20, json_schema_extra=listed("atomic")),
    ]
    """Who gets it."""
    namespaces: (
        Annotated[
            tuple[Annotated[str, Field(max_length=63)], ...],
            Field(max_length=1000, json_schema_extra=listed("atomic")),
        ]
        | None
    ) = None
    """Where: names of the tenant's namespaces. Absent means all of them, [] means none."""
    expires_at: (
        Annotated[
            str,
            AfterValidator(_check_time),
            Field(max_length=35, json_schema_extra={"format": "date-time"}),
        ]
        | None
    ) = None
    """When it ends, like 2026-12-01T18:00:00Z: from then on nobody has access by it, and the entry
    may be removed. Absent: it does not end."""

    @property
    def expiry(self) -> datetime.datetime | None:
        """Return when it ends; nothing: it does not."""
        return None if self.expires_at is None else datetime.datetime.fromisoformat(self.expires_at)
