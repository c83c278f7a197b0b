"""The error for users: one line, whatever it quotes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError, error_text


@given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=50))
def test_an_error_is_one_printable_line(what, why, remedy):
    error = Any2AnyError(what, why, remedy)
    assert str(error) == f"{error.what}: {error.why}. {error.remedy}"
    assert str(error).isprintable()
    str(error).encode()  # a lone surrogate, which stands for a byte of a file's name, could not be printed


@pytest.mark.parametrize(
    ("why", "shown"),
    [
        ("ein Bécher  für 5 µm", "ein Bécher  für 5 µm"),
        ("while parsing\n   a: [\n      ^\n", "while parsing a: [ ^"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\x00b\udcff", "a\\x00b\\udcff"),
        ("x" * 10_000, "x" * 2000 + "..."),
    ],
)
def test_what_is_quoted_stays_readable(why, shown):
    assert Any2AnyError("Cannot read it", why, "Copy it").why == shown


def test_what_is_logged_of_another_error_names_its_type():
    assert error_text(KeyError("a")) == "KeyError('a')"
    assert error_text(Any2AnyError("a", "b", "c")) == "a: b. c"
