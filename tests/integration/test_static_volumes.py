"""E12: a volume that the platform made beforehand reaches the claim that it names."""

from typing import Any

import factory
from conftest import Ready
from harness import Api, wait_for, wait_for_account

CLASS = {
    "metadata": {"name": "static"},
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "Immediate",
}


def volume(name: str, namespace: str, claim: str) -> dict[str, Any]:
    """Return a PersistentVolume for one claim."""
    return {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "static",
            "claimRef": {"namespace": namespace, "name": claim},
            "hostPath": {"path": f"/{name}"},
        },
    }


def test_a_volume_that_names_a_claim_is_bound_to_it_and_to_no_other(
    admin: Api, ready: Ready
) -> None:
    """Without volumeName, which only who breaks the glass may write."""
    body = factory.tenant(quota={"persistentvolumeclaims": 5, "requests.storage": "5Gi"})
    namespace = f"{body['metadata']['name']}-a"
    ready(body)
    wait_for_account(admin, namespace)
    admin.call("POST", "/apis/storage.k8s.io/v1/storageclasses", CLASS).ok()
    volumes = "/api/v1/persistentvolumes"
    admin.call("POST", volumes, volume("static-disk", namespace, "data")).ok()
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "static",
    }
    for name in ("another", "data"):
        admin.call("POST", claims, {"metadata": {"name": name}, "spec": spec}).ok()

    def found() -> Any:
        return admin.call("GET", f"{claims}/data").ok()

    wait_for(lambda: found()["status"].get("phase") == "Bound", what="the claim", seconds=60)
    assert found()["spec"]["volumeName"] == "static-disk"
    assert "volumeName" not in admin.call("GET", f"{claims}/another").ok()["spec"]
    for name in ("another", "data"):
        admin.call("DELETE", f"{claims}/{name}").ok()
    admin.call("DELETE", f"{volumes}/static-disk").ok()
    admin.call("DELETE", "/apis/storage.k8s.io/v1/storageclasses/static").ok()
