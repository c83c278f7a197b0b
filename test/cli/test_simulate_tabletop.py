"""`any2any simulate-tabletop`: settings from flags, a folder that gold reads, and nothing overwritten by accident."""

import json
from dataclasses import asdict

import pytest

from any2any_ros.data import gold
from any2any_ros.sim.tabletop import TabletopConfig, voices

SMALL = "--classes 2 --instances 2 --views 1 --focal 90 --descriptions 2 --utterances 1 --workers 1".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    from any2any_ros.cli.main import main

    folder = tmp_path_factory.mktemp("simulate") / "table"
    assert main(["simulate-tabletop", str(folder), *SMALL]) == 0
    return folder


def test_flags_are_the_settings(table):
    story = json.loads((table / "tabletop.json").read_text())
    expected = TabletopConfig(classes=2, instances=2, views=1, focal=90.0, descriptions=2, utterances=1)
    assert story["settings"] == asdict(expected)
    assert len(gold.read(table).views) == 4


def test_says_what_it_made_and_keeps_what_is_there(any2any, table):
    before = (table / "tabletop.json").stat().st_mtime_ns
    done = any2any("simulate-tabletop", table, *SMALL)
    assert done.code == 0 and "4 objects of 2 classes, 4 views, 8 written and" in done.out
    assert (table / "tabletop.json").stat().st_mtime_ns == before


def test_says_when_nothing_can_be_spoken(any2any, tmp_path, monkeypatch):
    monkeypatch.setattr(voices, "available", lambda: False)
    done = any2any("simulate-tabletop", tmp_path / "t", *SMALL)
    assert done.code == 0 and "8 written and 0 spoken" in done.out and "apt install espeak-ng" in done.out


def test_another_table_is_not_overwritten_unasked(refused, table):
    assert "other settings" in refused("simulate-tabletop", table, *SMALL, "--seed", 5)


def test_a_table_that_cannot_be_is_refused(refused, tmp_path):
    assert "Setting 'classes' cannot be 99" in refused("simulate-tabletop", tmp_path / "t", "--classes", 99)
    assert list(tmp_path.iterdir()) == []
