"""Recognisers are plugs; without their library one line says what to install."""

import sys

import pytest

from any2any_ros import hearing
from any2any_ros.errors import Any2AnyError
from any2any_ros.hearing import TRANSCRIBERS, endpoint
from any2any_ros.hearing.endpoint import EndpointConfig


def test_the_plugs_are_found_without_their_libraries(monkeypatch):
    for name in ("pocketsphinx", "torch", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    assert TRANSCRIBERS.names() == ("sphinx", "whisper")


@pytest.mark.parametrize(
    ("plug", "library", "extra"), [("sphinx", "pocketsphinx", "speech"), ("whisper", "transformers", "pretrained")]
)
def test_without_its_library_one_line_says_what_to_install(monkeypatch, plug, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(Any2AnyError, match="is missing") as error:
        hearing.build(plug)
    assert f"any2any_ros[{extra}]" in error.value.remedy and "\n" not in str(error.value)


def test_an_endpoint_without_its_library_says_what_to_install_before_it_hears(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    monkeypatch.setattr(endpoint.importlib.util, "find_spec", lambda name: None)
    for name, remedy in (("sphinx", "speech"), ("silero", "silero-vad")):
        with pytest.raises(Any2AnyError, match=f"Cannot find speech by '{name}'") as error:
            endpoint.build(EndpointConfig(endpoint=name))
        assert remedy in error.value.remedy


def test_unknown_plugs_settings_and_endpoints_are_refused():
    with pytest.raises(Any2AnyError, match="There is no transcriber 'siri'"):
        hearing.build("siri")
    with pytest.raises(Any2AnyError, match="Unknown setting 'volume'"):
        hearing.build("sphinx", {"volume": 1})
    with pytest.raises(Any2AnyError, match="'endpoint' cannot be 'ear'"):
        EndpointConfig(endpoint="ear")
