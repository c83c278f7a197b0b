"""The text descriptor: spelling it otherwise changes nothing or little, saying something else does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.encoders.text import STOP_WORDS, TextConfig, TextEncoder
from any2any_ros.errors import Any2AnyError

ENCODER = TextEncoder()
HOUSES = "two red brick houses and a bakery on the left"


def similarity(one, other, encoder=ENCODER):
    return float(encoder.encode(one) @ encoder.encode(other))


@pytest.mark.parametrize("bins", [16, 100, 65536])
def test_has_the_dimension_it_declares(bins):
    encoder = TextEncoder(TextConfig(bins=bins))
    assert encoder.encode(HOUSES).shape == (encoder.dimension,) == (bins,)


@pytest.mark.parametrize(
    "other",
    [
        HOUSES.upper(),
        HOUSES.title(),
        "Two red, brick houses; and a bakery: on the left!!",
        "  two\tred\n brick  houses - and a (bakery) on the 'left'",
        "two red brick houses, a bakery to the left",  # words that say nothing may differ
    ],
)
def test_case_punctuation_and_empty_words_do_not_matter(other):
    np.testing.assert_array_equal(ENCODER.encode(other), ENCODER.encode(HOUSES))


@pytest.mark.parametrize(("one", "other"), [("Hauptstraße", "HAUPTSTRASSE"), ("Οδός", "ΟΔΌΣ"), ("ÉCOLE", "école")])
def test_case_does_not_matter_in_other_languages(one, other):
    assert similarity(one, other) == pytest.approx(1)


@given(st.text(st.characters(codec="latin-1"), min_size=1, max_size=40))
def test_case_never_matters(text):
    try:
        plain = ENCODER.encode(text)
    except Any2AnyError:
        return
    if text.upper().casefold() == text.casefold():
        np.testing.assert_array_equal(ENCODER.encode(text.upper()), plain)


def test_word_order_and_a_slip_matter_little():
    assert similarity(HOUSES, "a bakery and two red brick houses on the left") > 0.75
    assert similarity(HOUSES, HOUSES.replace("bakery", "bakrey")) > 0.6
    assert similarity(HOUSES, "a grey tower behind some trees") < 0.25


def test_which_words_stand_together_matters():
    """The same words, but another house is red."""
    same = "red house with green door"
    assert similarity(same, "red house, green door") > similarity(same, "green house with red door")


def test_letters_find_what_words_do_not():
    words_only = TextEncoder(TextConfig(letters=0))
    assert similarity("bakery", "bakeries", words_only) == 0 and similarity("bakery", "bakeries") > 0.08


def test_texts_without_a_common_word_are_about_unrelated():
    draw = np.random.default_rng(0)
    vocabulary = ["".join(draw.choice(list("abcdefghijklmnopqrstuvwxyz"), 7)) for _ in range(300)]
    vectors = np.array([ENCODER.encode(" ".join(vocabulary[i : i + 6])) for i in range(0, 300, 6)])
    product = vectors @ vectors.T
    assert np.abs(product[~np.eye(50, dtype=bool)]).mean() < 0.05


def test_saying_it_again_matters_less_each_time():
    one = similarity("tree", "tree house")
    assert one < similarity("tree", "tree tree house") < similarity("tree", "tree tree tree tree house") < 1


def test_only_the_beginning_of_a_long_text_is_read():
    encoder = TextEncoder(TextConfig(longest=16))
    np.testing.assert_array_equal(
        encoder.encode("a red house, one" + " and another" * 1000), encoder.encode("a red house, one")
    )


@settings(max_examples=200)
@given(st.text(max_size=60), st.sampled_from([16, 1024]), st.integers(0, 8))
def test_any_text_is_encoded_or_refused(text, bins, letters):
    encoder = TextEncoder(TextConfig(bins=bins, letters=letters))
    try:
        vector = encoder.encode(text)
    except Any2AnyError as error:
        assert error.what == "Cannot use a text"  # noqa: PT017 - either outcome is right
    else:
        assert np.isfinite(vector).all() and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("text", ["", "  ", "?!...", "the", "I have it in my and your", "\ud800"])
def test_a_text_that_says_nothing_is_refused(text):
    with pytest.raises(Any2AnyError, match="names nothing"):
        ENCODER.encode(text)


def test_words_that_place_things_are_not_empty():
    """Left and right, before and behind, are what tells two captions apart."""
    assert not STOP_WORDS & {"left", "right", "behind", "before", "no", "not", "two"}
    assert similarity("a bakery on the left", "a bakery on the right") < 0.95


def test_no_weight_is_the_words_alone():
    one, other = TextEncoder(TextConfig(letter_weight=0.0)), TextEncoder(TextConfig(letters=0))
    np.testing.assert_allclose(one.encode(HOUSES), other.encode(HOUSES), atol=1e-6)
