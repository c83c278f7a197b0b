"""Views of objects: kept whole on disk, with their names."""

import numpy as np
import pytest

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.views import ObjectViews


def test_views_are_kept_whole(make_objects, tmp_path):
    whole = make_objects()
    whole.embeddings["camera"][3] = np.nan
    storage.save(whole, tmp_path / "objects")
    again = storage.load(tmp_path / "objects", ObjectViews)
    assert isinstance(again, ObjectViews) and again.encoders == whole.encoders
    for field in ("ids", "classes", "instances"):
        assert getattr(again, field).tolist() == getattr(whole, field).tolist()
    for m, x in whole.embeddings.items():
        np.testing.assert_array_equal(again.embeddings[m], x)
    assert not again.observations.present("camera")[3] and again.observations.ids == tuple(whole.ids)


def test_views_are_taken_with_their_names(make_objects):
    part = make_objects().take([5, 0])
    assert part.ids.tolist() == ["thing0_1_2", "thing0_0_0"] and part.instances.tolist() == ["thing0_1", "thing0_0"]
    np.testing.assert_array_equal(part.embeddings["text"], make_objects().embeddings["text"][[5, 0]])
    every = make_objects()
    assert len(every.take(every.classes == "thing2")) == 15


def test_what_does_not_fit_together_is_refused(make_objects):
    good = make_objects(2, 2, 1)
    with pytest.raises(Any2AnyError, match="do not fit together: an instance has two classes"):
        ObjectViews(good.embeddings, good.ids, good.classes, np.full(4, "thing0_0"), {})
    with pytest.raises(Any2AnyError, match="have shapes"):
        ObjectViews(good.embeddings, good.ids, good.classes[:3], good.instances, {})
    with pytest.raises(Any2AnyError, match="'text' do not fit"):
        ObjectViews({"text": np.ones((3, 2), np.float32)}, good.ids, good.classes, good.instances, {})
    with pytest.raises(Any2AnyError, match="an id appears twice"):
        ObjectViews(good.embeddings, np.full(4, "same"), good.classes, good.instances, {})
