"""The drawn pictures of the documentation: read by everybody, in light and dark, from one file."""

import re
from xml.etree import ElementTree

import pytest

from bench import plot
from harness import ROOT
from securetenant.api import status

PICTURES = sorted((ROOT / "docs/images").glob("*.svg"))
SPACE = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_small_says_what_it_shows_and_follows_the_readers_colours(
    path: object,
) -> None:
    text = (ROOT / str(path)).read_text(encoding="utf-8")
    assert len(text) < 8_000
    root = ElementTree.fromstring(text)  # noqa: S314 - A file of this repository.
    labels = root.attrib["aria-labelledby"].split()
    named = {each.attrib["id"]: each.text for each in root.iter() if "id" in each.attrib}
    assert all(named[label] for label in labels)
    style = root.find(f"{SPACE}style")
    assert style is not None
    assert style.text is not None
    light, _, dark = style.text.partition("@media (prefers-color-scheme: dark)")
    coloured = re.compile(r"([.\w]+) \{[^}]*?(?:fill|stroke): #")
    assert set(coloured.findall(light)) == set(coloured.findall(dark)) != set()
    used = {each.attrib["class"] for each in root.iter() if "class" in each.attrib}
    assert {f".{each}" for each in used} <= set(re.findall(r"(\.\w+) \{", light))
    assert not re.search(r"(?:href|src)=|https?://(?!www\.w3\.org/2000/svg)", text)


def test_the_overview_names_conditions_that_exist() -> None:
    root = ElementTree.parse(ROOT / "docs/images/overview.svg").getroot()  # noqa: S314 - As above.
    texts = [each.text or "" for each in root.iter(f"{SPACE}text") if int(each.attrib["y"]) > 384]
    shown = " ".join(texts).split()
    assert shown
    for condition in shown:
        assert condition in vars(status).values(), condition


def test_the_picture_of_a_benchmark_shows_the_figures_of_its_page(
    request: pytest.FixtureRequest,
) -> None:
    wanted = plot.draw(plot.PAGE.read_text(encoding="utf-8"))
    if request.config.getoption("--update-golden"):
        plot.PICTURE.write_text(wanted, encoding="utf-8")
    assert plot.PICTURE.read_text(encoding="utf-8") == wanted
