"""The page and the picture come from the results alone."""

import cv2
import numpy as np
import pytest

from benchmarks import bench
from benchmarks.speed import _page, _picture
from benchmarks.speed._rows import Row

MACHINE = {
    "date": "2026-11-22", "cpu": "A processor", "cores": 2, "ram_gb": 23.6, "python": "3.11.7", "gpu": "",
    "libraries": {"numpy": "2.4.1"}, "load_before": 0.2, "load_after": 1.1,
}  # fmt: skip
ROWS = [
    Row(
        "stamp to ranking",
        21.0,
        "ms",
        (20.0, 22.0),
        "defaults",
        42.0,
        bar="≤ 25",
        section="end_to_end",
        short="{} to a ranking",
    ),
    Row("pairs answered", 99.0, "%", bar="≥ 100", section="end_to_end"),
    Row("on a GPU", None, "ms", bar="≤ 5", note="unmeasured: no GPU", section="backends"),
    Row("fusion", 58.0, "ms", rival="plain", rival_value=50.0, ratio=1.1, bar="≤ 1.15 ×", section="search"),
    Row("camera", 1234.5, "ms", section="search"),
]


def results(rows=ROWS, **machine):
    sections = list(dict.fromkeys(row.section for row in rows))
    return {"machine": MACHINE | machine, "quick": False, "sections": sections, "seconds": 540,
            "rows": [row.plain() for row in rows]}  # fmt: skip


def lines(page, heading):
    return page.split(f"## {heading}")[1].split("\n## ")[0].splitlines()


def test_bars_stand_first_and_the_missed_ones_above():
    page = _page.write(results(), "images/b.png")
    bars = lines(page, "The bars: 2 of 3 met, 1 unmeasured")
    rows = [line for line in bars if line.startswith("|")][2:]
    assert rows == [
        "| pairs answered | 99 % | ≥ 100 % | **no** |",
        "| on a GPU | – | ≤ 5 ms | unmeasured |",
        "| stamp to ranking | 21 ms (20–22) | ≤ 25 ms | yes |",
        "| fusion | 58 ms | ≤ 1.15 ×; here 1.1 | yes |",
    ]


def test_the_first_lines_say_it_in_short():
    page = _page.write(results(), "images/b.png")
    assert "\n- **21 ms** to a ranking\n" in page.split("## ")[0]
    never = Row("x", float("inf"), "ms", bar="≤ 25", short="{} to a ranking", section="end_to_end")
    page = _page.write(results([never]), "b.png")
    assert "- **never** to a ranking" in page and "| x | never | ≤ 25 ms | **no** |" in page


def test_a_section_has_its_own_words_and_all_its_rows():
    page = _page.write(results(), "images/b.png")
    found = lines(page, "From a sensor message to a ranking")
    assert any("Four processes" in line for line in found)
    assert "| stamp to ranking | 21 ms (20–22) | defaults: 42 ms | 0.5 × |  |" in found
    assert "| on a GPU | – |  |  | unmeasured: no GPU |" in lines(page, "A pretrained network by runtime")
    assert "| camera | 1,234 ms |  |  |  |" in page


def test_the_machine_is_named_and_a_busy_one_warned_of():
    quiet, busy = _page.write(results(), "b.png"), _page.write(results(load_before=3.4, gpu="H200"), "b.png")
    for said in ("A processor, 2 cores, 23.6 GB, no GPU (unmeasured: on a GPU)", "numpy 2.4.1", "make bench"):
        assert said in quiet
    assert "busy" not in quiet
    assert "**The machine was busy** (load 3.4 on 2 cores" in busy and "H200" in busy and "no GPU (" not in busy


@pytest.mark.parametrize("name", bench.SECTIONS)
def test_every_section_is_a_program_that_says_what_it_measures(name):
    title, _, text = _page.described(name).partition("\n\n")
    assert title.endswith(".") and len(text) > 100
    file = bench.ROOT / f"benchmarks/speed/{name}.py"
    assert file.read_text().endswith('if __name__ == "__main__":\n    main(rows, __file__)\n')


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.000012, "1.2e-05"), (0.0176, "0.0176"), (21.04, "21"), (99.96, "100"), (1234.5, "1,234"),
     (None, "–"), (float("inf"), "never")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert _page.number(value) == text


@pytest.mark.parametrize("rows", [ROWS, ROWS[1:2], ROWS[4:], []])
def test_the_picture_is_a_png_with_something_on_it(rows):
    pixels = cv2.imdecode(np.frombuffer(_picture.draw(rows), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None and pixels.shape[1] > 500
    green = np.array([80, 152, 26])  # BGR of a bar that is met
    assert bool((pixels == green).all(axis=2).any()) == any(row.met for row in rows)


def test_a_bar_that_was_never_reached_can_be_drawn():
    assert _picture.draw([Row("x", float("inf"), "s", bar="≤ 2.1")])
