"""How much of a tenant's quota is used, as its status says it."""

from securetenant.status import quota
from securetenant.status.quota import Held


def test_free_is_what_is_neither_used_nor_kept_for_somebody() -> None:
    spaces = [Held({"pods": 7}, {"pods": 2}), Held({}, {"pods": 4}), Held({"pods": 1}, {})]
    found = quota.summarize({"pods": 20, "secrets": 9}, {"pods": 3}, spaces)
    row = {"resource": "pods", "total": "20", "used": "8", "guaranteed": "6", "free": "5"}
    assert found == {"summary": "pods 40%", "resources": [row]}


def test_what_is_used_up_comes_first() -> None:
    spaces = [Held({"limits.cpu": 3900, "pods": 1}, {})]
    found = quota.summarize({"limits.cpu": 4000, "pods": 2}, {}, spaces)
    assert found["summary"] == "limits.cpu 95%"


def test_little_use_is_one_word_for_all() -> None:
    """What is written right after the start is the same a moment later."""
    found = quota.summarize({"pods": 100}, {}, [Held({"pods": 3}, {})])
    assert found["summary"] == quota.summarize({"pods": 100}, {}, [])["summary"] == "under 5%"


def test_only_a_change_by_a_twentieth_is_news() -> None:
    def of(used: int, total: int = 100) -> dict[str, object]:
        return quota.summarize({"pods": total}, {}, [Held({"pods": used}, {})])

    assert not quota.is_news(of(11), of(14))
    assert quota.is_news(of(14), of(15))
    assert quota.is_news(of(11), of(11, 110))
