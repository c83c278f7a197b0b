"""The digits: tiny files written here, damaged ones, and the real ones."""

import numpy as np
import pytest

from any2any_ros.errors import Any2AnyError
from any2any_ros.sim import mfeat
from any2any_ros.sim.mfeat import MODALITIES, MfeatConfig, make, read

WIDTH = dict(zip(MODALITIES, (3, 2, 4, 2, 5, 1), strict=True))
SMALL = MfeatConfig(references=20, calibration=12, missing=0.4)
CLASSES = np.repeat(np.arange(10), 5)


def write(folder, m, features, classes=CLASSES):
    lines = [",".join([*(str(i) for i in range(features.shape[1])), "0"])]
    lines += [",".join(str(v) for v in (*row, label)) for row, label in zip(features, classes, strict=True)]
    (folder / f"mfeat-{m}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def features():
    draw = np.random.default_rng(0)
    return {m: draw.normal(5.0, 3.0, (len(CLASSES), width)) for m, width in WIDTH.items()}


@pytest.fixture
def folder(tmp_path, features):
    for m, values in features.items():
        write(tmp_path, m, values)
    return tmp_path


def parts(trial):
    return trial.reference, trial.calibration.queries, trial.test.queries


def digits(observations):
    return np.array([int(i.split("/")[1]) for i in observations.ids])


def test_reading_gives_back_what_was_written(folder, features):
    views, classes = read(folder)
    assert tuple(views) == MODALITIES
    for m in MODALITIES:
        np.testing.assert_array_equal(views[m], features[m])
    np.testing.assert_array_equal(classes, CLASSES)


def test_every_digit_is_dealt_out_once(folder):
    trial = make(folder, 0, SMALL)
    dealt = [digits(part) for part in parts(trial)]
    assert [len(rows) for rows in dealt] == [20, 12, 18]
    assert sorted(np.concatenate(dealt)) == list(range(50))
    assert np.bincount(trial.calibration.folds).tolist() == [3, 3, 3, 3]


def test_right_is_who_shows_the_same_digit(folder):
    trial = make(folder, 0, SMALL)
    for task in (trial.calibration, trial.test):
        queries, positive = task.queries, task.positive
        assert positive.shape == (len(queries), 20) and positive.any()
        for q, r in np.ndindex(*positive.shape):
            assert positive[q, r] == (digits(queries)[q] // 5 == digits(trial.reference)[r] // 5)


def test_views_are_standardised_by_the_references_alone(folder, features):
    trial = make(folder, 7, SMALL)
    known = digits(trial.reference)
    for part in parts(trial):
        for m in MODALITIES:
            for row, digit in zip(part.embeddings[m], digits(part), strict=True):
                if np.isnan(row).any():
                    continue
                expected = (features[m][digit] - features[m][known].mean(axis=0)) / features[m][known].std(axis=0)
                np.testing.assert_allclose(row, expected / np.linalg.norm(expected), rtol=1e-5)
                assert np.linalg.norm(row) == pytest.approx(1, abs=1e-6)


def test_a_test_digit_changes_nothing_but_itself(folder, features):
    before = make(folder, 0, SMALL)
    odd = digits(before.test.queries)[0]
    for m in MODALITIES:
        features[m][odd] = 1e6
        write(folder, m, features[m])
    after = make(folder, 0, SMALL)
    for m in MODALITIES:
        np.testing.assert_array_equal(after.reference.embeddings[m], before.reference.embeddings[m])
        np.testing.assert_array_equal(after.calibration.queries.embeddings[m], before.calibration.queries.embeddings[m])
        np.testing.assert_array_equal(after.test.queries.embeddings[m][1:], before.test.queries.embeddings[m][1:])


def test_a_feature_that_never_changes_and_a_digit_like_the_mean_are_zero(folder, features):
    features["fac"][:, 0] = 4.0
    features["zer"][:] = 9.0
    for m in ("fac", "zer"):
        write(folder, m, features[m])
    found = make(folder, 0, MfeatConfig(references=20, calibration=12, missing=0.0)).reference.embeddings
    assert not found["fac"][:, 0].any() and found["fac"][:, 1:].all()
    assert not found["zer"].any()


def test_a_seed_deals_its_own_way(folder):
    one, again, other = (make(folder, seed, SMALL) for seed in (1, 1, 2))
    assert one.reference.ids == again.reference.ids != other.reference.ids
    np.testing.assert_array_equal(one.test.queries.embeddings["pix"], again.test.queries.embeddings["pix"])


@pytest.mark.parametrize("empty", [False, True])
def test_a_digit_loses_everything_only_if_asked(folder, empty):
    trial = make(folder, 0, MfeatConfig(references=30, calibration=10, missing=0.9, empty=empty))
    bare = [~np.any([part.present(m) for m in MODALITIES], axis=0) for part in parts(trial)]
    assert np.concatenate(bare).any() == empty


def cut(path):
    """A download that stopped."""
    path.write_text(path.read_text()[:-20])


def cut_at_a_line(path):
    path.write_text("\n".join(path.read_text().split("\n")[:-3]))


def garble(path):
    path.write_text(path.read_text().replace(".", ";", 1))


def binary(path):
    path.write_bytes(b"\x80\xff" + path.read_bytes())


def unclassed(path):
    path.write_text("\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines()))


def headless(path):
    path.write_text(path.read_text().split("\n", 1)[1])


def infinite(path):
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "inf" + lines[1][lines[1].index(",") :], *lines[2:]]))


DAMAGE = [cut, cut_at_a_line, garble, binary, unclassed, headless, infinite]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("m", ["fac", "pix"])
def test_a_damaged_file_is_named(folder, m, damage):
    read(folder)
    damage(folder / f"mfeat-{m}.csv")
    with pytest.raises(Any2AnyError, match=r"Get (the file|all six files) again") as caught:
        read(folder)
    assert m in str(caught.value)


@pytest.mark.parametrize("content", ["", "\n", "0,1,0\n", "0\n1\n2\n"], ids=["empty", "blank", "header", "one column"])
def test_a_file_without_digits_is_refused(folder, content):
    (folder / "mfeat-kar.csv").write_text(content)
    with pytest.raises(Any2AnyError, match=r"Cannot read .*mfeat-kar\.csv"):
        read(folder)


def test_a_missing_file_is_named(folder):
    (folder / "mfeat-mor.csv").unlink()
    with pytest.raises(Any2AnyError, match=r"mfeat-mor\.csv"):
        make(folder, 0, SMALL)
    with pytest.raises(Any2AnyError, match=r"mfeat-fac\.csv"):
        make(folder / "nowhere", 0, SMALL)


def test_views_of_other_digits_are_refused(folder, features):
    write(folder, "zer", features["zer"], CLASSES[::-1])
    with pytest.raises(Any2AnyError, match="do not belong together"):
        read(folder)


def test_something_has_to_be_left_for_the_test(folder):
    with pytest.raises(Any2AnyError, match=r"it has 50, and 1000 \+ 300 are references or calibrate"):
        make(folder, 0)
    assert len(make(folder, 0, MfeatConfig(references=40, calibration=9)).test) == 1


def test_the_real_digits(shared_data):
    views, classes = read(shared_data / "mfeat")
    widths = {"fac": 216, "fou": 76, "kar": 64, "mor": 6, "pix": 240, "zer": 47}
    assert {m: view.shape for m, view in views.items()} == {m: (2000, width) for m, width in widths.items()}
    assert np.bincount(classes).tolist() == [200] * 10

    trial = make(shared_data / "mfeat", 0, MfeatConfig(missing=0.0))
    for m in MODALITIES:
        reference, test = trial.reference.embeddings[m], trial.test.queries.embeddings[m]
        first = np.argmax(test @ reference.T, axis=1)
        assert trial.test.positive[np.arange(len(test)), first].mean() > 0.5  # chance: 0.1
        assert np.linalg.norm(test, axis=1) == pytest.approx(1, abs=1e-5)


def test_half_of_the_real_views_are_missing(shared_data):
    trial = make(shared_data / "mfeat", 0)
    assert [len(part) for part in parts(trial)] == [1000, 300, 700]
    for part in (trial.reference, trial.test.queries):
        seen = np.stack([part.present(m) for m in mfeat.MODALITIES])
        assert seen.any(axis=0).all() and seen.mean() == pytest.approx(32 / 63, abs=0.03)
