"""Where is the robot now? One search, by answers that are right, wrong, alike or absent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.localization import planar
from any2any_ros.localization.one_shot import Code, OneShot
from any2any_ros.localization.region import Region
from any2any_ros.ranking import Match, Ranking

COVARIANCE = np.diag([0.3, 0.3, 0.05]) ** 2
HERE = np.array([20.0, 5.0, 0.5])


def match(pose=HERE, name="here", probability=0.95):
    return Match(name, probability, 1.0, planar.matrix(pose), np.empty((0, 0)), covariance=COVARIANCE)


def ranking(*matches, accepted=True, stamp=0, presence=0.99, modalities=("lidar",)):
    return Ranking(matches, modalities, accepted=accepted, stamp_ns=stamp, presence=presence)


def away(metres, name, probability=0.95):
    return match(HERE + np.array([metres, 0, 0]), name, probability)


def test_two_answers_that_agree_localize_a_robot_that_stands():
    search = OneShot()
    assert search.take(ranking(match(), stamp=1), None) is None and search.best == ("here", 0.95)
    found = search.take(ranking(match(), stamp=2), None)
    assert (found.code, found.places, found.probability, found.stamp_ns) == (Code.LOCALIZED, ("here",), 0.95, 2)
    np.testing.assert_allclose(planar.of(found.pose), HERE, atol=1e-9)
    assert found.covariance.shape == (3, 3) and "accept here" in found.why and search.seen == ("lidar",)


def test_one_that_drives_is_followed_by_its_odometry():
    search = OneShot()
    for metre in range(2):
        odometry = planar.matrix(np.array([100.0 + 3 * metre, 0, 0]))
        pose = planar.after(HERE, np.array([3.0 * metre, 0, 0]))
        found = search.take(ranking(match(pose, f"place {metre}")), odometry)
    assert found.code is Code.LOCALIZED and found.places == ("place 1",)
    np.testing.assert_allclose(planar.of(found.pose), pose, atol=1e-6)


def test_two_answers_that_contradict_each_other_do_not():
    search = OneShot()
    assert [search.take(ranking(one), None) for one in (match(), away(90, "there"), match(), away(90, "there"))] == [
        None
    ] * 4


def test_the_first_odometry_says_nothing_of_the_way_before_it():
    search = OneShot()
    search.take(ranking(match()), None)
    assert search.take(ranking(match()), planar.matrix(np.array([7.0, 0, 0]))) is None
    assert search.take(ranking(match()), planar.matrix(np.array([7.0, 0, 0]))).code is Code.LOCALIZED
    assert search.take(ranking(match()), None).code is Code.LOCALIZED  # a gap: it is where it was


def test_corridors_that_look_alike_are_ambiguous_however_often_they_are_seen():
    search = OneShot()
    for i in range(100):
        seen = ranking(match(probability=0.5), away(50, "there", 0.45), accepted=False, stamp=i)
        assert search.take(seen, None) is None
    end = search.give_up()
    assert end.code is Code.AMBIGUOUS and end.places == ("here", "there") and end.pose is None


def test_what_is_in_no_place_of_the_map_is_unmapped():
    search = OneShot(region=Region(0, 0, 30.0))
    for presence in (0.9, 0.1, 0.2):
        search.take(ranking(match(probability=0.1), accepted=False, presence=presence), None)
    end = search.give_up()
    assert end.code is Code.UNMAPPED and "region" in end.why


def test_without_an_answer_there_is_no_sensor():
    search = OneShot(("camera", "audio"))
    assert search.take(ranking(modalities=(), accepted=False), None) is None
    end = search.give_up()
    assert end.code is Code.NO_SENSOR and "camera, audio" in end.why and end.places == ()


def test_answers_that_are_never_sure_time_out():
    search = OneShot()
    search.take(ranking(match(probability=0.6), accepted=False), None)
    end = search.give_up()
    assert (end.code, end.places, end.probability) == (Code.TIMED_OUT, ("here",), 0.6)


def test_a_place_that_faces_elsewhere_is_no_candidate():
    search = OneShot(region=Region(yaw=HERE[2] + np.pi, turned=0.3))
    assert [search.take(ranking(match()), None) for _ in range(3)] == [None] * 3
    turned = HERE + np.array([70.0, 0, np.pi])
    search = OneShot(region=Region(yaw=HERE[2] + np.pi, turned=0.3))
    found = [search.take(ranking(match(turned, "turned")), None) for _ in range(2)]
    assert found[1].places == ("turned",)


ANSWERS = st.lists(
    st.tuples(st.integers(0, 3), st.floats(0.0, 1.0), st.booleans(), st.booleans()), min_size=1, max_size=30
)


@settings(max_examples=60, deadline=None)
@given(ANSWERS)
def test_it_localizes_only_at_a_place_that_two_accepted_answers_in_a_row_have_named(answers):
    search, before = OneShot(), None
    for i, (place, probability, accepted, odometry) in enumerate(answers):
        names = ranking(away(40 * place, str(place), probability), accepted=accepted, stamp=i)
        accepted &= probability > 0
        found = search.take(names, np.eye(4) if odometry else None)
        if found is not None:
            assert accepted and before == place and found.places == (str(place),)
            assert planar.of(found.pose)[0] == pytest.approx(HERE[0] + 40 * place, abs=0.01)
            return
        before = place if accepted else before if probability == 0 or not accepted else None
    assert search.give_up().code is not Code.LOCALIZED
