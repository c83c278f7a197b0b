"""The demo of objects: the page about a recorded story."""

import re

import pytest
from objects_story import TABLE, recorded

from any2any_ros.demo import objects_judge, objects_page


@pytest.fixture
def story(tmp_path):
    return recorded(tmp_path)


@pytest.fixture
def page(story, tmp_path):
    curve = tmp_path / "curves.png"
    curve.write_bytes(b"PNG")
    row = {"queries": 4, "mrr": 0.9, "accuracy": 0.8}
    trust = {"queries": 9, "recall@1": 0.7, "accepted": 0.1, "accepted_precision": 0.9, "absent": 0.05}
    training = {
        "views": {"train": 3, "held out": 2, "test": 1}, "chance": {"mrr": 0.457, "accuracy": 0.2}, "trust": [trust],
    }  # fmt: skip
    report = objects_judge.report(story, TABLE.things) | {
        "seed": 0, "speech": "", "classes": 20, "alike": 20, "training": training, "ablations": {"text → colour": row},
    }  # fmt: skip
    out = tmp_path / "report.html"
    objects_page.write(out, report, story, list(TABLE), TABLE.things, curve)
    return out.read_text("utf-8")


def test_the_page_stands_alone_and_shows_every_command(page, story):
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "http" not in page
    for exchange in story[0].exchanges[1:]:
        assert page.count(f"<q>{exchange.command.text}</q>") == 1
    assert "the &lt;b&gt;first&lt;/b&gt;" in page and "<b>first" not in page
    assert page.count('src="data:audio/wav') == 2 and page.count('src="data:image/png') == 1


def test_the_page_frames_the_true_one_green_and_a_wrong_first_answer_red(page):
    part = {q: p for q, p in re.findall(r"<q>(.*?)</q>(.*?)(?=<q>|<section)", page, re.DOTALL)}  # noqa: C416
    frames = {q: re.findall(r'<div class="view (\w*)">', p) for q, p in part.items()}
    assert frames["the second"] == ["wrong", "right"]
    assert frames["no such"] == ["", ""] and frames["mumble"] == []
    assert "Nothing was ranked" in part["mumble"] and "no words" in part["mumble"]


def test_the_page_says_what_is_simulated_and_when_nothing_was_spoken(page, story, tmp_path):
    assert "Simulated:" in page and "Speech is synthetic" in page
    text = objects_page.TEMPLATE.read_text("utf-8")
    assert "Nothing was spoken: {{ report.speech }}" in text


def test_remembered_boxes_are_drawn_where_the_things_are(page):
    (drawn,) = re.findall(r"<svg(.*?)</svg>", page, re.DOTALL)[:1]
    assert 1 <= drawn.count("<rect") <= 8
    x, y, width, height = (int(v) for v in re.search(r'viewBox="(\d+) (\d+) (\d+) (\d+)"', drawn).groups())
    assert 0 < width <= 160 and 0 < height <= 120
    held = []
    for rect in re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', drawn):
        left, top, w, h = map(int, rect)
        assert x <= left and y <= top and left + w <= x + width and top + h <= y + height
        held.append(any((f.thing[top : top + h, left : left + w] >= 0).any() for f in TABLE))
    assert len(held) - sum(held) <= 1  # the phantom's, in the air
