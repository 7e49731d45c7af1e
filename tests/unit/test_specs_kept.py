"""What people wrote while another process led is seen when this one begins, and once."""

from typing import Any

from securetenant.api import kinds
from securetenant.app.specs import Specs
from securetenant.app.specs_watch import Source


def recording(seen: list[tuple[Any, ...]]) -> Specs:
    return Specs(
        {
            kind: Source(
                lambda name, body, kind=kind: seen.append((kind.name, name, body)),  # type: ignore[misc]
                lambda name, kind=kind: seen.append((kind.name, name, None)),  # type: ignore[misc]
            )
            for kind in (kinds.TENANCY_SETTINGS, kinds.SECURE_TENANT)
        }
    )


def test_a_standby_keeps_the_latest_and_hands_it_over_settings_first() -> None:
    seen: list[tuple[Any, ...]] = []
    specs = recording(seen)
    specs.seen(kinds.SECURE_TENANT, "acme", {"generation": 1})
    specs.seen(kinds.SECURE_TENANT, "gone", {"generation": 1})
    specs.seen(kinds.TENANCY_SETTINGS, "default", {})
    specs.seen(kinds.SECURE_TENANT, "acme", {"generation": 2})
    specs.gone(kinds.SECURE_TENANT, "gone")
    assert seen == []
    assert specs.kept(kinds.SECURE_TENANT) == {"acme"}
    specs.hand_over()
    assert seen == [
        ("TenancySettings", "default", {}),
        ("SecureTenant", "acme", {"generation": 2}),
    ]
    assert specs.kept(kinds.SECURE_TENANT) is None


def test_from_then_on_everything_is_handed_on() -> None:
    seen: list[tuple[Any, ...]] = []
    specs = recording(seen)
    specs.hand_over()
    specs.seen(kinds.SECURE_TENANT, "acme", {})
    specs.gone(kinds.SECURE_TENANT, "acme")
    specs.hand_over()
    assert seen == [("SecureTenant", "acme", {}), ("SecureTenant", "acme", None)]
