"""The grammar: phrases become rules, unknown words are named and left out, nothing of a phrase can break the format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError
from any2any_ros.hearing import grammar
from any2any_ros.hearing.grammar import commands, meaning


def rules(jsgf):
    lines = [line.removesuffix(";") for line in jsgf.splitlines() if "=" in line]
    return {name.removeprefix("public "): words for name, words in (line.split(" = ", 1) for line in lines)}


def test_phrases_become_rules():
    made = commands("bring me, find", "Red,  dark   red, red", "mug, coffee mug,", lambda word: True)
    found = rules(made.jsgf)
    assert found["<opening>"] == "bring me | find"
    assert found["<adjective>"] == "red | dark red"
    assert found["<object>"] == "mug | coffee mug"
    assert found["<command>"].startswith("[please] <opening> [<article>]") and made.left_out == ()
    assert made.jsgf.startswith("#JSGF V1.0;\ngrammar ")


def test_a_phrase_with_an_unknown_word_is_left_out_and_the_word_named_once():
    known = {"bring", "red", "mug", "coffee"}.__contains__
    made = commands("bring", "red", "mug, blorg mug, coffee blorg, coffee mug, zorg", known)
    assert rules(made.jsgf)["<object>"] == "mug | coffee mug" and made.left_out == ("blorg", "zorg")


@pytest.mark.parametrize("empty", ["", " , ", "blorg", "mug;"])
def test_without_a_word_to_listen_for_it_says_so(empty):
    with pytest.raises(Any2AnyError, match="There is no object to listen for"):
        commands("bring", "red", empty, lambda word: word != "blorg")


@given(st.text(alphabet="ab '-;|<>[]()*=\n,é", max_size=30))
def test_no_phrase_can_break_the_format(phrases):
    made = commands("bring", "red", "mug," + phrases, lambda word: True)
    assert len(made.jsgf.splitlines()) == 7
    allowed = set("abcdefghijklmnopqrstuvwxyz' |")
    assert set(rules(made.jsgf)["<object>"]) <= allowed


def test_only_what_matters_is_meant():
    assert meaning("please Bring me the blue mug") == ("bring", "blue", "mug") == meaning("bring a blue mug please")
    assert meaning("the a please") == ()


def test_the_defaults_have_no_phrase_twice():
    for words in (grammar.OPENINGS, grammar.ADJECTIVES, grammar.OBJECTS):
        phrases = [phrase.strip() for phrase in words.split(",")]
        assert len(phrases) == len(set(phrases)) and all(phrases)
