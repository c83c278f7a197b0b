"""The grounder sees objects in pictures, remembers them where they stand, and forgets those that are gone."""

from dataclasses import replace

import numpy as np
import pytest
from grounder_table import DIMS, HEIGHT, WHOLE, WIDTH, model, view_of

from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.camera_view import CameraView, boxes_in_view, seen_gone
from any2any_ros.objects.grounder import Grounder
from any2any_ros.objects.object_memory import MemoryConfig
from any2any_ros.objects.remembered_object import RememberedObject
from any2any_ros.samples import NS
from any2any_ros.sim.tabletop import SceneConfig, scene
from any2any_ros.sim.tabletop.table import TOP


def truth(table, frame, pixels=100):
    """Return the things that are whole in the picture, and seen well: their rows and middles."""
    rows = [i for i in range(len(table.things)) if (frame.thing == i).sum() > pixels]
    border = {*frame.thing[:, [0, -1]].ravel(), *frame.thing[[0, -1]].ravel()}
    return {i: (table.things[i].low + table.things[i].high) / 2 for i in rows if i not in border}


def nearest(objects, place):
    return min(objects, key=lambda o: np.linalg.norm(o.centre - place))


def empty_table(frame):
    """Return the frame's depth where the table alone is measured: the plane z = TOP, closed form."""
    row, column = np.indices(frame.depth.shape, dtype=float)
    k = frame.intrinsics
    rays = np.stack([(column - k[0, 2]) / k[0, 0], (row - k[1, 2]) / k[1, 1], np.ones(row.shape)], axis=-1)
    down = rays @ frame.pose[2, :3]
    with np.errstate(divide="ignore"):
        depth = (TOP - frame.pose[2, 3]) / down
    return np.where(depth > 0, depth, np.nan).astype(np.float32)


def taken_away(frame, row):
    """Return the frame's depth as if one thing had been taken away."""
    reach = frame.thing == row
    for _ in range(3):  # the pixels at its edges are neither nor
        reach = reach | np.roll(reach, 1, 0) | np.roll(reach, -1, 0) | np.roll(reach, 1, 1) | np.roll(reach, -1, 1)
    own = reach & ((frame.thing == row) | (frame.thing < 0))
    return np.where(own, empty_table(frame), frame.depth)


# --- seeing ---------------------------------------------------------------------------------------------------------


def test_what_stands_on_the_table_is_remembered_where_it_stands(seen, table, frames):
    there = truth(table, frames[0])
    assert len(there) >= 3
    objects = seen.memory.believed
    assert len({nearest(objects, place).id for place in there.values()}) == len(there)
    for place in there.values():
        assert np.linalg.norm(nearest(objects, place).centre - place) < 0.04
    for known in objects:
        assert set(known.counts) == {"camera", "depth"} and known.vector("camera").shape == (DIMS,)
        assert known.seen_ns == frames[-1].stamp_ns or known.sightings < 3
    assert seen.refused == 0


def test_the_objects_of_a_look_are_returned(frames):
    grounder = Grounder(WHOLE)
    first, second = grounder.see(view_of(frames[0])), grounder.see(view_of(frames[1]))
    assert len(first) >= 3 and {o.id for o in first} & {o.id for o in second}
    assert all(o in grounder.memory.everything for o in (*first, *second))


def test_without_colour_objects_are_remembered_by_depth_alone(frames):
    grounder = Grounder(WHOLE)
    for frame in frames[:2]:
        found = grounder.see(view_of(frame, rgb=None))
    assert len(grounder.memory) >= 3 and all(set(o.counts) == {"depth"} for o in found)
    assert not grounder.memory.as_map().places.present("camera").any()


def test_without_depth_what_is_known_is_looked_at_again_and_nothing_is_new(seen, frames):
    before = {o.id: (o.counts["camera"], o.counts["depth"], o.sightings) for o in seen.memory.everything}
    found = seen.see(view_of(frames[0], depth=None, stamp_ns=99 * NS))
    assert len(found) >= 3 and {o.id for o in seen.memory.everything} == set(before)
    for known in seen.memory.everything:
        camera, depth, sightings = before[known.id]
        again = known in found
        assert (known.counts["camera"], known.counts["depth"]) == (camera + again, depth)
        assert known.sightings == sightings and (known.seen_ns == 99 * NS) == again


def test_colour_that_comes_back_is_learnt_of_what_depth_alone_knew(frames):
    grounder = Grounder(WHOLE)
    for frame in frames[:2]:
        grounder.see(view_of(frame, rgb=None))
    found = grounder.see(view_of(frames[2], depth=None))
    assert found and all(o.vector("camera") is not None for o in found)
    nothing_known = Grounder(WHOLE)
    assert nothing_known.see(view_of(frames[0], depth=None)) == [] and nothing_known.memory.everything == ()


def test_of_no_camera_nothing_changes(seen, frames):
    version = seen.memory.version
    assert seen.see(view_of(frames[0], rgb=None, depth=None)) == [] and seen.memory.version == version


def test_a_model_that_knows_one_camera_uses_that_one(frames):
    by_depth = Grounder(model("text", "depth"))
    found = by_depth.see(view_of(frames[0]))
    assert found and all(set(o.counts) == {"depth"} for o in found)
    assert by_depth.see(view_of(frames[0], depth=None)) == []
    by_colour = Grounder(model("text", "camera"))
    assert by_colour.see(view_of(frames[0], rgb=None)) == [] and by_colour.memory.everything == ()
    assert {m for o in by_colour.see(view_of(frames[0])) for m in o.counts} == {"camera"}


def test_where_a_detector_looks_it_looks_there_only(table, frames):
    frame = frames[0]
    row, place = next(iter(truth(table, frame).items()))
    rows, columns = np.nonzero(frame.thing == row)
    box = (int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max()))
    grounder = Grounder(WHOLE)
    (found,) = grounder.see(view_of(frame, boxes=(box,)))
    assert np.linalg.norm(found.centre - place) < 0.05
    assert grounder.see(view_of(frame, boxes=())) == []
    assert grounder.see(view_of(frame, boxes=((0, 0, 3, 3),))) == []
    assert len(grounder.memory.everything) == 1


def test_a_picture_that_shows_nothing_is_refused_and_counted(frames):
    grounder = Grounder(WHOLE)
    found = grounder.see(view_of(frames[0], rgb=np.full((HEIGHT, WIDTH, 3), 90, np.uint8)))
    assert found and grounder.refused == len(found) and all(set(o.counts) == {"depth"} for o in found)


def test_holes_and_nothing_are_no_objects(frames):
    grounder = Grounder(WHOLE)
    for nothing in (np.full((HEIGHT, WIDTH), np.nan, np.float32), empty_table(frames[0])):
        assert grounder.see(view_of(frames[0], depth=nothing)) == []
    assert grounder.memory.everything == ()


def test_the_focal_length_of_the_camera_is_told_to_who_counts_on_another(table, frames):
    """A descriptor in metres is trained at 525 pixels; the camera here has 262, and shows an object half as large."""
    large = scene(3, config=SceneConfig(objects=5)).frame(0)
    place = next(iter(truth(table, frames[0], 300).values()))
    vectors = {}
    for name, frame in (("small", frames[0]), ("large", large)):
        grounder = Grounder(model("text", "depth"))
        near = nearest(grounder.see(view_of(frame)), place)
        box = boxes_in_view(view_of(frame), [near], frame.depth.shape)[near.id]
        crop = frame.depth[box[1] - 4 : box[3] + 4, box[0] - 4 : box[2] + 4]
        raw = grounder._encoders["depth"].encoder
        vectors[name] = raw.encode(grounder._at_trained_focal("depth", crop, view_of(frame)))
        vectors[f"{name} as it is"] = raw.encode(crop)
    np.testing.assert_array_equal(vectors["large"], vectors["large as it is"])
    sizes = slice(-56, None)  # the lengths in metres
    alike, before = (
        float(a[sizes] @ vectors["large"][sizes] / np.linalg.norm(a[sizes]) / np.linalg.norm(vectors["large"][sizes]))
        for a in (vectors["small"], vectors["small as it is"])
    )
    assert alike > 0.9 and alike > before + 0.1


# --- forgetting -----------------------------------------------------------------------------------------------------


def test_what_was_taken_away_is_forgotten_and_the_rest_is_not(table, frames):
    """However flat it is, and whatever stands beside it."""
    for row, place in truth(table, frames[0]).items():
        grounder = Grounder(WHOLE, MemoryConfig(gone=3))
        for _ in range(2):
            grounder.see(view_of(frames[0], rgb=None))
        gone, before = nearest(grounder.memory.believed, place), len(grounder.memory)
        for count in range(3):
            assert any(o is gone for o in grounder.memory.believed), (table.things[row].instance, count)
            grounder.see(view_of(frames[0], rgb=None, depth=taken_away(frames[0], row)))
        assert not any(o is gone for o in grounder.memory.believed), table.things[row].instance
        assert len(grounder.memory) == before - 1


def test_what_is_there_is_never_seen_gone(table):
    grounder = Grounder(WHOLE)
    for i in (0, 8, 16):
        grounder.see(view_of(table.frame(i), rgb=None))
    for i in (4, 12):
        assert not any(seen_gone(view_of(table.frame(i)), grounder.memory.everything))


def test_what_is_hidden_unmeasured_or_out_of_sight_is_not_gone(seen, table, frames):
    frame, place = frames[0], next(iter(truth(table, frames[0]).values()))
    known = nearest(seen.memory.believed, place)
    away = view_of(frame, depth=empty_table(frame))
    assert seen_gone(away, [known]) == [True]
    left, top, right, bottom = boxes_in_view(away, [known], (HEIGHT, WIDTH))[known.id]
    hand = empty_table(frame)
    hand[top:bottom, left:right] = 0.5
    hole = empty_table(frame)
    hole[top:bottom, left:right] = np.nan
    half = empty_table(frame)
    half[top:bottom, left : (left + right) // 2 + 2] = 0.5
    for depth in (hand, hole, half):
        assert seen_gone(view_of(frame, depth=depth), [known]) == [False]
    elsewhere = frame.pose.copy()
    elsewhere[:3, 3] += 5
    behind = frame.pose.copy()
    behind[:3, :3] = behind[:3, :3] @ np.diag([-1.0, 1.0, -1.0])
    for pose in (elsewhere, behind):
        assert seen_gone(view_of(frame, pose=pose), [known]) == [False]
    assert seen_gone(away, []) == []


def thing(name, low, high):
    return RememberedObject(name, np.array(low, float), np.array(high, float), 0)


def test_the_box_of_an_object_in_a_picture_is_where_its_corners_are():
    k = np.array([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]])
    view = CameraView(0, k, np.eye(4), depth=np.ones((80, 100), np.float32))
    here = thing("here", [-0.1, -0.05, 1.0], [0.1, 0.05, 2.0])
    cut, behind = thing("cut", [-0.6, 0, 1], [-0.4, 0.1, 2]), thing("behind", [0, 0, -2], [0.1, 0.1, -1])
    around, speck = thing("around", [-1, -1, -1], [1, 1, 1]), thing("speck", [0, 0, 1], [1e-9, 1e-9, 1])
    found = boxes_in_view(view, [here, cut, behind, around, speck], (80, 100, 3))
    assert found == {"here": (40, 35, 60, 45)}
    turned = np.eye(4)
    turned[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]  # looks along the map's x
    turned[:3, 3] = [1.0, 2.0, 3.0]
    there = thing("there", [2.0, 1.9, 2.95], [3.0, 2.1, 3.05])
    (box,) = boxes_in_view(replace(view, pose=turned), [there], (80, 100)).values()
    np.testing.assert_allclose(box, (40, 35, 60, 45), atol=1)  # rounding may add a pixel


# --- input ----------------------------------------------------------------------------------------------------------


def camera(focal, middle):
    return np.array([[focal, 0, middle], [0, focal, HEIGHT / 2], [0, 0, 1]])


@pytest.mark.parametrize(
    "wrong",
    [
        {"depth": np.ones((HEIGHT, WIDTH - 1), np.float32)}, {"depth": np.ones((HEIGHT, WIDTH, 1), np.float32)},
        {"rgb": np.ones((HEIGHT, WIDTH), np.uint8)}, {"rgb": np.ones((HEIGHT, WIDTH, 4), np.uint8)},
        {"intrinsics": np.zeros((3, 3))}, {"intrinsics": np.eye(2)}, {"intrinsics": np.full((3, 3), np.nan)},
        {"intrinsics": camera(1e-3, WIDTH / 2)}, {"intrinsics": camera(WIDTH, 3.4e38)},
        {"intrinsics": camera(1e300, 1)}, {"intrinsics": camera(WIDTH, -np.inf)},
        {"intrinsics": camera(-WIDTH, WIDTH / 2)},
        {"pose": np.full((4, 4), np.nan)}, {"pose": np.eye(3)},
    ],
    ids=lambda wrong: "-".join(f"{k}{v.shape}" for k, v in wrong.items()),
)  # fmt: skip
def test_a_look_that_does_not_fit_together_is_refused(frames, wrong):
    with pytest.raises(Any2AnyError, match="Cannot use the cameras"):
        view_of(frames[0], **wrong)
