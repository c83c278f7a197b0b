"""Views x descriptions, encoded: which row has what, and what becomes of samples that cannot be used."""

import cv2
import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.data import gold
from any2any_ros.data.examples import observe
from any2any_ros.errors import Any2AnyError


def view_of(found, item):
    return next(v for v in found.views if v.item == item)


@pytest.fixture(scope="module")
def plugs():
    return {"camera": encoders.build("crop"), "depth": encoders.build("depth"), "text": encoders.build("text")}


def test_rows_are_views_times_descriptions(gold_folder, plugs):
    found = gold.read(gold_folder)
    examples = observe(found.views, plugs)
    assert examples.observations.ids == (
        "allen_wrench_5_1/0", "allen_wrench_5_2/0", "mug_1_1/0", "mug_1_1/1", "mug_2_9/0", "mug_2_10/0"
    )  # fmt: skip
    assert examples.labels.tolist() == ["allen_wrench"] * 2 + ["mug"] * 4
    assert examples.instances.tolist() == ["allen_wrench_5"] * 2 + ["mug_1"] * 2 + ["mug_2"] * 2
    assert examples.views.tolist() == [0, 1, 2, 2, 3, 4] and not examples.refused
    seen = examples.observations
    assert seen.present("camera").all()
    assert seen.present("depth").tolist() == [False, False, True, True, False, False]
    assert seen.present("text").tolist() == [False, True, True, True, False, False]
    np.testing.assert_array_equal(seen.embeddings["camera"][2], seen.embeddings["camera"][3])
    np.testing.assert_array_equal(seen.embeddings["text"][3], plugs["text"].encode("a cup"))
    assert np.isnan(seen.poses).all()


def test_no_more_rows_than_asked_for(gold_folder, plugs):
    assert len(observe(gold.read(gold_folder).views, plugs, most=1).observations) == 5


def test_what_cannot_be_used_is_missing_and_counted(gold_folder, plugs):
    found = gold.read(gold_folder)
    view_of(found, "mug_2_9").camera.write_bytes(b"cut")
    cv2.imwrite(str(view_of(found, "mug_1_1").depth), np.zeros((20, 20), np.uint16))  # nothing but holes
    examples = observe(found.views, plugs)
    assert examples.refused == {"camera": 1, "depth": 1}
    assert not examples.observations.present("camera")[4] and not examples.observations.present("depth").any()


def test_a_modality_gold_does_not_have_is_refused(gold_folder, plugs):
    with pytest.raises(Any2AnyError, match="GoLD has no lidar"):
        observe(gold.read(gold_folder).views, {"lidar": plugs["text"]})


def test_no_views_are_no_rows(plugs):
    examples = observe((), plugs)
    assert len(examples.observations) == 0 and examples.observations.embeddings["text"].shape == (0, 1024)
