"""The simulated objects: a GoLD folder that our reader reads, equal for equal seeds, and fit to learn from."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.data import gold
from any2any_ros.data.examples import observe
from any2any_ros.errors import Any2AnyError
from any2any_ros.sim.tabletop import TabletopConfig, voices, write
from any2any_ros.sim.tabletop import folder as folder_module
from any2any_ros.sim.tabletop.catalogue import KINDS, SHADES, bodies
from any2any_ros.sim.tabletop.folder import item_id
from any2any_ros.sim.tabletop.objects import Place
from any2any_ros.sim.tabletop.patterns import SURFACE, Pattern, Wrap, paint
from any2any_ros.sim.tabletop.table import TOP, Portraits, set_table
from any2any_ros.sim.tabletop.words import MISTAKEN, NAMES, PARTS, PRINTS, TEMPLATES, USES, WRITERS, a

FOCAL = 180.0
TINY = TabletopConfig(classes=4, instances=2, views=3, descriptions=3, utterances=1, focal=FOCAL)
ALL = TabletopConfig(instances=2, views=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("table") / "tiny", TINY, workers=1, progress=False)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_our_reader_takes_it_for_gold(folder):
    found = gold.read(folder)
    assert found.labels == ("book", "bottle", "bowl", "mug") and len(found.instances) == 8
    assert [v.item for v in found.views[:3]] == ["book_1_1", "book_1_2", "book_1_3"] and len(found.views) == 24
    for view in found.views:
        rgb, depth = gold.sample(view, "camera"), gold.sample(view, "depth")
        assert rgb.shape == (*depth.shape, 3) and rgb.std() > 5
        assert 0.4 < np.nanmedian(depth) < 2
        assert 0.005 < np.isnan(depth).mean() < 0.6  # holes, like a real camera's
        assert len(view.descriptions) == 3 and len({d.worker for d in view.descriptions}) == 3
        assert len(view.utterances) == 1
    assert not found.skipped


def test_depth_is_in_whole_millimetres(folder):
    depth = gold.sample(gold.read(folder).views[0], "depth")
    millimetres = depth[np.isfinite(depth)].astype(float) * 1000
    np.testing.assert_allclose(millimetres, np.round(millimetres), atol=1e-3)


@pytest.mark.skipif(not voices.available(), reason="espeak-ng is not installed: sudo apt install espeak-ng")
def test_what_is_spoken_is_speech(folder):
    for view in gold.read(folder).views[::5]:
        heard = gold.sample(view, "speech")
        assert heard.rate == voices.RATE and 0.4 < len(heard.samples) / heard.rate < 12
        assert 0.25 < np.abs(heard.samples).max() <= 1
        loud = np.abs(heard.samples[: len(heard.samples) // 400 * 400].reshape(-1, 400)).mean(axis=1)
        assert loud.max() > 8 * np.percentile(loud, 2)  # words and pauses, not a tone or noise


@pytest.mark.skipif(not voices.available(), reason="espeak-ng is not installed: sudo apt install espeak-ng")
def test_speakers_differ(tmp_path):
    heard = []
    for speaker in range(4):
        voices.say("a blue mug", speaker, tmp_path / "x.wav", np.random.default_rng(0))
        heard.append(gold.sound(tmp_path / "x.wav").samples.tobytes())
    assert len(set(heard)) == 4


def test_without_a_voice_the_rest_is_written_and_a_voice_is_made_up_for_later(tmp_path, monkeypatch):
    small = replace(TINY, classes=1, views=1, utterances=1)
    monkeypatch.setattr(voices, "available", lambda: False)
    write(tmp_path / "t", small, workers=1, progress=False)
    said = [path for view in gold.read(tmp_path / "t").views for _, path in view.utterances]
    assert said == [None, None] and not (tmp_path / "t" / "speech").exists()
    monkeypatch.undo()
    if voices.available():
        write(tmp_path / "t", small, workers=1, progress=False)
        assert all(path for view in gold.read(tmp_path / "t").views for _, path in view.utterances)


def test_a_voice_that_fails_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(voices, "PROGRAM", "false")
    with pytest.raises(Any2AnyError, match="cannot speak"):
        voices.say("a mug", 0, tmp_path / "x.wav", np.random.default_rng(0))


def test_same_bytes_from_other_processes(tmp_path):
    small = replace(TINY, classes=2, views=2)
    alone = write(tmp_path / "alone", small, workers=1, progress=False)
    shared = write(tmp_path / "shared", small, workers=2, progress=False)
    assert files(alone) == files(shared)


def test_another_seed_is_another_set_of_objects():
    one, other = ([(b.colour, b.pattern, b.scale) for b in bodies(replace(ALL, seed=s))] for s in (0, 1))
    assert one != other and one == [(b.colour, b.pattern, b.scale) for b in bodies(ALL)]


def test_more_instances_or_classes_leave_the_others_as_they_are():
    assert set(bodies(replace(ALL, classes=5))) < set(bodies(ALL))


def test_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_module, "_write_view", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "t", TINY, workers=1, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_same_settings_are_kept_others_refused_and_foreign_folders_never_touched(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "t")
    before = files(copy)
    assert write(copy, TINY, progress=False) == copy and files(copy) == before
    with pytest.raises(Any2AnyError, match="a tabletop with other settings"):
        write(copy, replace(TINY, seed=5))
    write(copy, replace(TINY, classes=1, views=1), workers=1, progress=False, overwrite=True)
    assert len(gold.read(copy).views) == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(Any2AnyError, match="no simulated tabletop"):
        write(tmp_path / "mine", TINY, overwrite=True)


# --- objects --------------------------------------------------------------------------------------------------


def test_every_class_is_drawn_standing_on_the_table():
    for body in bodies(ALL):
        (corners,) = set_table([body], [Place(0.3, -0.2, TOP, 1.0)]).corners
        low, high = corners.min(axis=0), corners.max(axis=0)
        assert low[2] == pytest.approx(TOP, abs=0.006), body.name
        assert 0.015 < (high - low).max() < 0.45, body.name
        assert np.hypot(*((low + high)[:2] / 2 - [0.3, -0.2])) < 0.12, body.name


def test_colours_are_shared_between_classes_and_differ_within_them():
    everything = bodies(TabletopConfig())
    assert len(everything) >= 60 and len({b.kind.label for b in everything}) >= 15
    for colour in ("blue", "red", "white", "black"):
        assert len({b.kind.label for b in everything if b.colour == colour}) >= 3, colour
    for kind in KINDS:
        mine = [b for b in everything if b.kind is kind]
        assert len({b.colour for b in mine}) >= min(len(mine), len(set(kind.shades)))
        assert len({(b.colour, b.pattern, round(b.scale, 3)) for b in mine}) == len(mine)


@pytest.mark.parametrize("pattern", set(Pattern) - {Pattern.PLAIN})
@pytest.mark.parametrize("wrap", Wrap)
def test_a_pattern_shows_both_colours_near_by_and_their_mean_from_afar(pattern, wrap):
    surface = np.zeros(1, SURFACE)
    surface["kind"], surface["wrap"], surface["period"] = pattern, wrap, 0.02
    surface["colour"], surface["accent"], surface["height"] = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8), 0.2
    surface["radius"], surface["axis"] = 0.05, (1, 0)
    angle, z = np.random.default_rng(0).uniform([0, 0], [2 * np.pi, 0.2], (4000, 2)).T
    points = np.stack([0.05 * np.cos(angle), 0.05 * np.sin(angle), z], axis=1).astype(np.float32)
    index = np.zeros(len(points), np.int32)
    near = paint(points, surface, index, np.full(len(points), 1e-4, np.float32))
    far = paint(points, surface, index, np.full(len(points), 1.0, np.float32))
    assert near.std(axis=0).max() > 0.02 and np.ptp(far, axis=0).max() <= np.ptp(near, axis=0).max() + 1e-5
    if pattern not in (Pattern.LABEL, Pattern.WOOD):
        assert np.ptp(far, axis=0).max() < 1e-5


def test_a_view_is_the_same_whichever_was_taken_before():
    body = bodies(TINY)[0]
    one, other = Portraits(TINY, body), Portraits(TINY, body)
    other.take(0)
    np.testing.assert_array_equal(one.take(2).rgb, other.take(2).rgb)


def test_what_the_picture_shows_is_the_depth_of_the_object():
    """The object rises out of the table's plane in depth exactly where the renderer says that it is."""
    body = next(b for b in bodies(ALL) if b.kind.label == "box")
    shot = Portraits(replace(ALL, focal=FOCAL), body).take(0)
    mine, known = shot.thing == 0, shot.depth > 0
    assert 0.15 < mine.mean() < 0.85 and known[mine].mean() > 0.5
    table = (shot.thing == -1) & known
    v, u = np.nonzero(table)
    plane = np.linalg.lstsq(np.stack([u, v, np.ones_like(u)], 1), 1000 / shot.depth[table], rcond=None)[0]
    v, u = np.nonzero(mine & known)
    beyond = 1000 / (np.stack([u, v, np.ones_like(u)], 1) @ plane)
    assert (shot.depth[mine & known] < beyond + 5).mean() > 0.97


# --- words ----------------------------------------------------------------------------------------------------


def test_everything_has_words():
    keys = {b.kind.label for b in bodies(ALL)} | set(SHADES) | {"small", "large"}
    assert keys <= set(NAMES) and set(USES) == {k.label for k in KINDS}
    assert set(MISTAKEN) | set(MISTAKEN.values()) <= set(NAMES)
    assert set(PARTS) <= set(USES) and set(PRINTS) <= set(Pattern)


def test_the_first_two_circles_share_no_template_and_no_name():
    assert not set(TEMPLATES[0]) & set(TEMPLATES[1])
    for first, second in NAMES.values():
        assert first and second and not set(first) & set(second)
    assert {w.circle for w in WRITERS} == {0, 1, 2}


def test_descriptions_name_the_object_and_nothing_else():
    """Without slips, each description has a name of the class, or what it is for, and no other class's whole name."""
    rng = np.random.default_rng(0)
    labels = {k.label: {*NAMES[k.label][0], *NAMES[k.label][1], USES[k.label]} for k in KINDS}
    coloured = 0
    for body in bodies(ALL):
        for writer in WRITERS:
            text = writer.describe(body, 0.0, rng).lower()
            assert text and "  " not in text and "{" not in text and " ." not in text
            assert any(name in text for name in labels[body.kind.label]), text
            coloured += any(name in text for circle in NAMES[body.colour] for name in circle)
    assert coloured > 0.8 * len(WRITERS) * len(bodies(ALL))


def test_slips_name_something_else_now_and_then():
    body = next(b for b in bodies(ALL) if b.kind.label == "apple")
    rng = np.random.default_rng(0)
    texts = [WRITERS[0].describe(body, 0.3, rng).lower() for _ in range(200)]
    assert 0.1 < np.mean(["lemon" in t for t in texts]) < 0.5


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [("apple", "an apple"), ("mug", "a mug"), ("red scissors", "some red scissors"),
     ("pair of scissors", "pair of scissors"), ("orange cup", "an orange cup")],
)  # fmt: skip
def test_articles(phrase, expected):
    assert a(phrase) == expected


# --- fit to learn from ----------------------------------------------------------------------------------------


def test_colour_tells_objects_apart_and_depth_tells_classes_apart(tmp_path):
    """Nearest neighbours by the weight-free encoders, against chance: the pictures carry what the words speak of."""
    config = TabletopConfig(classes=8, instances=2, views=4, descriptions=0, utterances=0, focal=260.0)
    found = gold.read(write(tmp_path / "t", config, workers=1, progress=False))
    plugs = {"camera": encoders.build("crop"), "depth": encoders.build("depth", {"focal": 260.0})}
    examples = observe(found.views, plugs)
    assert not examples.refused
    recall = {}
    for m, truth in (("camera", examples.instances), ("depth", examples.labels)):
        seen = examples.observations.embeddings[m]
        nearest = (seen @ seen.T - 2 * np.eye(len(seen))).argmax(axis=1)
        recall[m] = (truth[nearest] == truth).mean()
    assert recall["camera"] > 0.6  # chance: 3 of 63 = .05
    assert recall["depth"] > 0.7  # chance: 7 of 63 = .11


@pytest.mark.parametrize(("name", "value"), [("classes", 21), ("views", 0), ("descriptions", 13), ("nearest", 0.1)])
def test_settings_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(Any2AnyError, match=name):
        replace(TINY, **{name: value})


def test_the_story_tells_what_every_object_is(folder):
    story = json.loads((folder / "tabletop.json").read_text())
    assert story["settings"]["focal"] == FOCAL and set(story["objects"]) == set(gold.read(folder).instances)
    assert story["objects"]["mug_1"]["class"] == "mug" and story["objects"]["mug_1"]["colour"] in SHADES
    assert item_id(bodies(TINY)[0], 0) == "mug_1_1"
