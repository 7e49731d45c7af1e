"""Labels and annotations that a spec may put on a namespace: formats and reserved prefixes."""

import re
from typing import Annotated

from pydantic import Field

from securetenant.api.rules import Rule

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

_PREFIX_LENGTH = 253
_RESERVED_DOMAINS = ("securetenant.io", "kubernetes.io", "k8s.io", "openshift.io")
_ALLOWED_PREFIX = "app.kubernetes.io/"
_OURS = "app.kubernetes.io/managed-by"

LabelValue = Annotated[str, Field(max_length=63)]
Labels = Annotated[dict[str, LabelValue], Field(max_length=16)]
ANNOTATION_LENGTH = 256
Annotations = Annotated[
    dict[str, Annotated[str, Field(max_length=ANNOTATION_LENGTH)]], Field(max_length=16)
]


def is_dns_label(text: str) -> bool:
    """Tell whether ``text`` is an RFC 1123 label, as the names of namespaces are."""
    return _DNS_LABEL.fullmatch(text) is not None


def is_label_key(text: str) -> bool:
    """Tell whether ``text`` is a qualified name: ``name`` or ``subdomain/name``."""
    prefix, slash, name = text.rpartition("/")
    if not _NAME.fullmatch(name):
        return False
    return not slash or (len(prefix) <= _PREFIX_LENGTH and _SUBDOMAIN.fullmatch(prefix) is not None)


def is_label_value(text: str) -> bool:
    """Tell whether ``text`` may be the value of a label."""
    return _VALUE.fullmatch(text) is not None


def is_reserved(key: str) -> bool:
    """Tell whether a key belongs to Kubernetes, OpenShift or this product.

    Such keys switch controls: Pod Security, node selectors, admin access, our own gate.
    ``app.kubernetes.io/`` is for applications, apart from ``managed-by``, which we set.
    """
    prefix, slash, _ = key.rpartition("/")
    if not slash or (key.startswith(_ALLOWED_PREFIX) and key != _OURS):
        return False
    return any(prefix == domain or prefix.endswith(f".{domain}") for domain in _RESERVED_DOMAINS)


_RESERVED_PATTERN = "^([^/]*[.])?({})/".format(
    "|".join(domain.replace(".", "[.]") for domain in _RESERVED_DOMAINS)
)


def rules(field: str, *, values: bool = True) -> tuple[Rule, ...]:
    """Return the rules about an optional map of labels or annotations of that name.

    ``values`` says whether values must have the format of labels: annotations may be any text.
    """
    found = (
        Rule(
            cel=f"!has(self.{field}) || self.{field}.all(k,"
            " !format.qualifiedName().validate(k).hasValue())",
            holds=lambda self: all(map(is_label_key, getattr(self, field) or {})),
            message="a key is like team or example.com/team: up to 63 letters, digits, '-', '_'"
            " and '.', which begin and end with a letter or digit",
            path=f".{field}",
        ),
        Rule(
            cel=f"!has(self.{field}) || self.{field}.all(k,"
            f" !k.matches('{_RESERVED_PATTERN}')"
            f" || (k.startsWith('{_ALLOWED_PREFIX}') && k != '{_OURS}'))",
            holds=lambda self: not any(is_reserved(key) for key in getattr(self, field) or {}),
            message="keys under securetenant.io, kubernetes.io, k8s.io and openshift.io are"
            " reserved, since they switch controls (app.kubernetes.io is free but for"
            " managed-by); use a key of your own, like team or example.com/team",
            path=f".{field}",
        ),
    )
    if not values:
        return found
    return (
        *found,
        Rule(
            cel=f"!has(self.{field}) || self.{field}.all(k,"
            f" self.{field}[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))",
            holds=lambda self: all(map(is_label_value, (getattr(self, field) or {}).values())),
            message="a value has up to 63 letters, digits, '-', '_' and '.', and begins and"
            " ends with a letter or digit",
            path=f".{field}",
        ),
    )
