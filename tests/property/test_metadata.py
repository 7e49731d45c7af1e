"""Label keys and values: our judgement against the formats as Kubernetes words them."""

import string

from hypothesis import given
from hypothesis import strategies as st

from securetenant.api import metadata

ALPHANUMERIC = string.ascii_letters + string.digits
middle = st.text(ALPHANUMERIC + "-_.", max_size=20)
edge = st.sampled_from(ALPHANUMERIC)
words = st.builds(lambda first, inner, last: first + inner + last, edge, middle, edge)
domains = st.sampled_from(["example.com", "a.b.c", "team"])


@given(words)
def test_a_word_is_a_key_and_a_value(word: str) -> None:
    assert metadata.is_label_key(word)
    assert metadata.is_label_value(word)


@given(domains, words)
def test_a_prefixed_word_is_a_key_but_no_value(domain: str, word: str) -> None:
    assert metadata.is_label_key(f"{domain}/{word}")
    assert not metadata.is_label_value(f"{domain}/{word}")


@given(words, st.sampled_from(list(" /:@$\n\u00e4")))
def test_a_word_with_another_character_is_neither(word: str, letter: str) -> None:
    assert not metadata.is_label_key(word + letter + word + "/")
    assert not metadata.is_label_value(word + letter + word)


@given(st.sampled_from(["", "a.", "x.y."]), words)
def test_reserved_domains_are_reserved_with_all_their_subdomains(sub: str, word: str) -> None:
    for domain in ("securetenant.io", "kubernetes.io", "k8s.io", "openshift.io"):
        assert metadata.is_reserved(f"{sub}{domain}/{word}")
        assert not metadata.is_reserved(f"{sub}not{domain}/{word}")
        assert not metadata.is_reserved(word)
    assert not metadata.is_reserved("app.kubernetes.io/part-of")
    assert metadata.is_reserved("app.kubernetes.io/managed-by")
