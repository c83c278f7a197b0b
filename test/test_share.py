"""Files beside the code are found in a checkout and where an installed package keeps them."""

from pathlib import Path

import pytest

from any2any_ros import share
from any2any_ros.errors import Any2AnyError


def test_finds_the_checkouts_files():
    assert share.find("msg", "Embedding.msg").read_text().startswith("#")
    assert share.find("config").is_dir()


def test_finds_what_a_sourced_workspace_installed(tmp_path, monkeypatch):
    installed = tmp_path / "share/any2any_ros/config"
    installed.mkdir(parents=True)
    (installed / "mine.yaml").touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    assert share.find("config", "mine.yaml") == installed / "mine.yaml"


def test_says_where_it_looked(monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    with pytest.raises(Any2AnyError, match=r"Cannot find config/none\.yaml.*/opt/ros/jazzy/share/any2any_ros"):
        share.find("config", "none.yaml")


def test_the_cache_is_the_user_s_and_never_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert share.cache("a", "b") == tmp_path / "any2any_ros" / "a" / "b"
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert share.cache() == Path.home() / ".cache" / "any2any_ros"
