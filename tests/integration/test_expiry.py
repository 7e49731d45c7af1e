"""Access ends at its moment, with the operator at work, and when it comes back after that."""

import datetime
import time
from typing import Any

from conftest import Ready
from factory import tenant
from harness import Api, Operator, conditions, wait_for
from securetenant.api import kinds, names


def at(seconds: float) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def grant(name: str, expires: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "role": "Developer",
        "subjects": [{"kind": "User", "name": f"{name}-user"}],
    }
    return found if expires is None else {**found, "expiresAt": expires}


def holders(admin: Api, namespace: str) -> list[str]:
    body = admin.get(kinds.ROLE_BINDING, names.role_binding("Developer"), namespace)
    return sorted(each["name"] for each in body["subjects"]) if body else []


def events(admin: Api, uid: str) -> set[str]:
    return {
        each["reason"]
        for each in admin.list(kinds.EVENT, "default")
        if each["regarding"].get("uid") == uid
    }


def test_access_ends_at_its_moment_and_is_told(
    admin: Api, operator: Operator, ready: Ready
) -> None:
    ends = at(8)
    body = ready(
        tenant("lapsing", namespaces=[{"name": "lapsing-a"}], access=[grant("x", ends), grant("y")])
    )
    assert holders(admin, "lapsing-a") == ["x-user", "y-user"]
    assert body["status"]["access"] == {"nextExpiry": ends}
    wait_for(
        lambda: holders(admin, "lapsing-a") == ["y-user"], what="the access to end", seconds=15
    )
    assert at(0) >= ends

    def told() -> Any:
        found = conditions(admin.get(kinds.SECURE_TENANT, "lapsing"))["AccessScoped"]
        return found if found["reason"] == "Expired" else None

    found = wait_for(told, what="the condition")
    assert found["status"] == "True"
    assert f"x ({ends})" in found["message"]
    status = admin.get(kinds.SECURE_TENANT, "lapsing")["status"]
    assert "access" not in status
    uid = body["metadata"]["uid"]
    wait_for(lambda: {"AccessExpiring", "AccessExpired"} <= events(admin, uid), what="both events")


def test_access_that_ended_while_the_operator_was_away_is_taken_when_it_is_back(
    admin: Api, operator: Operator, ready: Ready
) -> None:
    ready(tenant("away", namespaces=[{"name": "away-a"}], access=[grant("x", at(5))]))
    assert holders(admin, "away-a") == ["x-user"]
    operator.stop()
    # The claim is that time passes while nobody is at work.
    time.sleep(6)
    assert holders(admin, "away-a") == ["x-user"]
    operator.start()
    wait_for(lambda: holders(admin, "away-a") == [], what="the access to be taken")


def test_access_that_has_ended_before_it_was_written_gives_nothing(
    admin: Api, operator: Operator, ready: Ready
) -> None:
    ready(tenant("late", namespaces=[{"name": "late-a"}], access=[grant("x", at(-60))]))
    assert holders(admin, "late-a") == []
    found = conditions(admin.get(kinds.SECURE_TENANT, "late"))["AccessScoped"]
    assert (found["status"], found["reason"]) == ("True", "Expired")


def test_a_later_moment_keeps_it(admin: Api, operator: Operator, ready: Ready) -> None:
    body = tenant("longer", namespaces=[{"name": "longer-a"}], access=[grant("x", at(6))])
    ready(body)
    body["spec"]["access"] = [grant("x", at(3600))]
    ready(body)
    wanted = {"spec": {"namespaces": [{"name": "longer-a", "labels": {"a": "b"}}]}}
    # What was due before comes and finds nothing to take.
    time.sleep(7)
    admin.patch(kinds.SECURE_TENANT, "longer", wanted).ok()
    wait_for(
        lambda: admin.get(kinds.NAMESPACE, "longer-a")["metadata"]["labels"].get("a") == "b",
        what="the change",
    )
    assert holders(admin, "longer-a") == ["x-user"]


def test_what_is_no_moment_is_refused_by_the_api_server(admin: Api) -> None:
    for wrong in ("tomorrow", "2026-12-01", "2026-12-01T25:00:00Z"):
        body = tenant("never-made", access=[grant("x", wrong)])
        answer = admin.create(kinds.SECURE_TENANT, body)
        assert answer.status == 422
        assert "spec.access[0].expiresAt" in answer.message
        assert "date-time" in answer.message
