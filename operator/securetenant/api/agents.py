"""Agents: programs of the platform that work inside of tenants' namespaces.

Certificate managers, load balancers, backup tools. An agent may do what the tenant may, and more
where its entry says so; everybody else is judged as the tenant. Which finalizers it may set is a
right in a ClusterRole (manifests/policies/finalizers.yaml): in a namespace that is being deleted
there is no TenantPolicy to read it from.
"""

from typing import Annotated

from pydantic import Field

from securetenant.api import workloads
from securetenant.api.access import is_foreign_user
from securetenant.api.rules import Model, Rule, listed
from securetenant.api.workloads import Prefixes, ServiceType

_CLOUD = (
    "system:controller:glbc",
    "system:l4-lb-controller",
    "system:l7-lb-controller",
    "system:l7-lb-controller-neg",
)
"""Users of a cloud's controllers, which are no ServiceAccounts: the holders of GKE's
ClusterRole system:glbc-status."""


class AgentAccount(Model):
    """A ServiceAccount of the platform."""

    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    """Its namespace, which no tenant may have: protectedNames list it."""
    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Its name."""

    rules = (
        workloads.namespaced_name(
            "a ServiceAccount is named by its namespace and its name, in lower case, like"
            " cert-manager and cert-manager"
        ),
    )


class AgentAllows(Model):
    """What an agent may write that the tenant may not."""

    annotations: (
        Annotated[
            tuple[workloads.AnnotationKey, ...],
            Field(max_length=32, json_schema_extra=listed("set")),
        ]
        | None
    ) = None
    """Annotations of objects in tenants' namespaces: keys with their prefix, or a beginning and an
    asterisk."""
    registries: Prefixes | None = None
    """Where images of its pods come from: beginnings that end with a slash."""
    service_types: (
        Annotated[tuple[ServiceType, ...], Field(max_length=3, json_schema_extra=listed("set"))]
        | None
    ) = None
    """Types of its Services."""

    rules = (
        workloads.each(
            "annotations",
            workloads.ANNOTATION,
            "an annotation is a key with its prefix, or a beginning and an asterisk, like"
            " field.cattle.io/publicEndpoints",
        ),
        workloads.each("registries", workloads.REGISTRY, workloads.REGISTRY_MESSAGE),
    )


class Agent(Model):
    """A program of the platform that works inside of tenants' namespaces."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """What you call it, for example cert-manager."""
    service_account: AgentAccount | None = None
    """Who it is: its ServiceAccount."""
    user: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Who it is, where it has no ServiceAccount of this cluster: its user name."""
    allows: AgentAllows
    """What it may write that the tenant may not."""

    rules = (
        Rule(
            cel="has(self.serviceAccount) != has(self.user)",
            holds=lambda self: (self.service_account is None) != (self.user is None),
            message="an agent is a serviceAccount or a user, one of the two",
        ),
        Rule(
            cel="!has(self.user) || !self.user.startsWith('system:')"
            " && !self.user.startsWith('securetenant:')"
            f" || self.user in {list(_CLOUD)}",
            holds=lambda self: (
                self.user is None or not is_foreign_user(self.user) or self.user in _CLOUD
            ),
            message="names under system: and securetenant: belong to Kubernetes and SecureTenant,"
            " except those of the load balancer controllers of GKE, like system:l7-lb-controller; a"
            " ServiceAccount is written as serviceAccount",
            path=".user",
        ),
    )

    @property
    def username(self) -> str:
        """Return its user name, as the API server's authentication gives it."""
        account = self.service_account
        if account is None:
            return self.user or ""
        return f"system:serviceaccount:{account.namespace}:{account.name}"
