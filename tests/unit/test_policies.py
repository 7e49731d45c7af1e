"""What repeats itself in the policies means the same wherever it stands."""

import re
from collections import defaultdict

import yaml

from harness import ROOT

POLICIES = ROOT / "manifests" / "policies"
DIFFERENT = frozenset({"not-a-controller", "not-allowed-more-anyway"})
"""Exemptions that each policy words for what it is about: `early_exits.py` has the reasons."""


def test_exemptions_of_one_name_exempt_the_same() -> None:
    """Who checks one believes the others."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file in POLICIES.rglob("*.yaml"):
        for body in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if body["kind"].endswith("AdmissionPolicy"):
                for each in body["spec"].get("matchConditions", ()):
                    found[each["name"]].add(re.sub(r"\s+", " ", each["expression"]))
    several = {name for name, texts in found.items() if name.startswith("not-") and len(texts) > 1}
    assert several == DIFFERENT


def test_lines_can_be_read_without_scrolling() -> None:
    """A regular expression has no place to break it."""
    long = [
        f"{file.name}:{number}"
        for file in POLICIES.rglob("*.yaml")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if len(line) > 118 and " " in line.strip()
    ]
    assert long == []
