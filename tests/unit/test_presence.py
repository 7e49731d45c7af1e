"""What is absent and what is empty are two things, in a policy that compares old and new."""

import re

from harness import ROOT

DEFAULTED = re.compile(r"!=\s*oldObject[\w.?]*\[\?k\]\s*\.orValue\(|\[\?k\]\.orValue\(''\)\s*[!=]=")
"""The value of a key that varies, or the empty string, in a comparison."""


def test_no_policy_takes_an_absent_key_for_an_empty_value() -> None:
    """An annotation without a value that came by an update was in no policy a change."""
    found = {
        f"{file.name}: {match[0]}"
        for file in (ROOT / "manifests" / "policies").rglob("*.yaml")
        for match in DEFAULTED.finditer(file.read_text(encoding="utf-8"))
    }
    # The part beside it asks whether the key is there.
    known = {"operator-bounds.yaml: [?k].orValue('') =="}
    assert found <= known
