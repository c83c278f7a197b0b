"""A robot drives, answers are right, wrong or look alike, and the guard says where it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.localization import planar
from any2any_ros.localization.answer import Answer, Candidate
from any2any_ros.localization.guard import Guard, GuardConfig, State

COVARIANCE = np.diag([0.3, 0.3, 0.05]) ** 2
NS = 10**9
ODOMETRY_BEGINS = np.array([7.0, -3.0, 1.0])  # where the odometry's frame lies in the map


def at(metres, across=0.0, yaw=0.0):
    """Return the pose (4, 4) on a straight street."""
    return planar.matrix(np.array([metres, across, yaw]), 1.5)


def odometry(pose):
    return planar.matrix(planar.between(ODOMETRY_BEGINS, planar.of(pose)))


def candidate(pose, probability=0.97, covariance=COVARIANCE, name="place"):
    return Candidate(name, pose, probability, covariance)


def answer(metres, *candidates, accepted=True, carried=0.0):
    """carried: metres that the robot was carried, which its odometry does not see."""
    return Answer(int(metres * NS), candidates, accepted, odometry(at(metres - carried)))


def states(guard, answers):
    return [guard.take(one).state for one in answers]


def right(metres, **more):
    return answer(metres, candidate(at(metres)), **more)


def test_answers_that_agree_along_the_way_localize():
    guard = Guard()
    found = [guard.take(right(metres)) for metres in (0.0, 0.4, 1.0, 2.0, 3.0)]
    assert [one.state for one in found] == [State.UNKNOWN] * 2 + [State.LOCALIZED] * 3
    assert [one.relocalized for one in found] == [False, False, True, False, False]
    np.testing.assert_allclose(found[-1].pose, at(3.0), atol=1e-6)
    np.testing.assert_allclose(planar.of(found[-1].from_odometry), ODOMETRY_BEGINS, atol=1e-6)
    assert found[-1].covariance[0, 0] <= 0.3**2 * 1.01 and "agree" in found[-1].why and found[0].pose is None


def test_a_robot_that_stands_still_confirms_nothing():
    guard = Guard()
    assert states(guard, [right(0.01 * i) for i in range(50)]) == [State.UNKNOWN] * 50


def test_one_wrong_answer_does_not_make_it_lost():
    guard = Guard()
    states(guard, [right(float(i)) for i in range(6)])
    assert guard.take(answer(6.0, candidate(at(80.0)))).state is State.LOCALIZED
    assert states(guard, [right(7.0), right(8.0)]) == [State.LOCALIZED] * 2


def test_a_robot_that_was_carried_away_is_localized_there_when_two_answers_agree():
    guard = Guard()
    states(guard, [right(float(i)) for i in range(6)])
    found = [guard.take(right(100.0 + i, carried=94.0)) for i in range(6)]
    assert [one.relocalized for one in found] == [False, True, False, False, False, False]
    np.testing.assert_allclose(found[-1].pose, at(105.0), atol=1e-6)
    assert all(one.pose is None or one.pose[0, 3] < 20 or one.pose[0, 3] > 90 for one in found)


def test_a_robot_that_was_carried_away_to_where_no_answer_is_sure_is_lost():
    guard = Guard()
    states(guard, [right(float(i)) for i in range(6)])
    found = [
        guard.take(answer(100.0 + i, candidate(at(100.0 + i), 0.6), accepted=False, carried=94.0)) for i in range(8)
    ]
    assert found[-1].state is State.LOST and "contradict" in next(o.why for o in found if o.state is State.LOST)
    assert not any(one.relocalized for one in found)


def test_corridors_that_look_alike_are_ambiguous_until_motion_tells_them_apart():
    """Every answer names both corridors. Only one of them goes round a corner as the robot does."""
    guard = Guard()

    def both(metres):
        return answer(
            metres, candidate(at(metres), 0.5, name="a"), candidate(at(metres, 50), 0.45, name="b"), accepted=False
        )

    found = [guard.take(both(float(i))) for i in range(8)]
    assert {one.state for one in found[1:]} == {State.AMBIGUOUS} and set(found[-1].places) == {"a", "b"}
    assert all(one.pose is None for one in found)
    found = [guard.take(right(8.0 + i)) for i in range(4)]
    assert found[-1].state is State.LOCALIZED and found[-1].pose[1, 3] == pytest.approx(0, abs=0.1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(4, 14), min_size=2, max_size=4), st.integers(0, 10**6))
def test_corridors_of_several_lengths_are_told_apart_where_all_others_have_ended(lengths, seed):
    """Corridors look alike. The robot drives through the longest, and brute force knows which of them are as long."""
    draw, lengths = np.random.default_rng(seed), [*sorted(lengths), max(lengths) + 6]
    turns = draw.uniform(-3, 3, len(lengths))
    guard, alone = Guard(), 0
    for metres in range(lengths[-1]):
        left = [k for k, length in enumerate(lengths) if length > metres]
        here = {k: planar.matrix(planar.after(np.array([0, 60.0 * k, turns[k]]), [metres, 0, 0])) for k in left}
        shares = draw.dirichlet(np.full(len(left), 50.0)) * 0.97
        named = [candidate(here[k], p, name=str(k)) for k, p in zip(left, shares, strict=True)]
        named.sort(key=lambda one: -one.probability)
        true = here[left[-1]]
        found = guard.take(Answer(metres, tuple(named), len(left) == 1, odometry(at(metres))))
        alone = alone + 1 if len(left) == 1 else 0
        if len(left) > 1:
            assert found.pose is None and (metres == 0 or found.state is State.AMBIGUOUS)
            assert set(found.places) <= set(map(str, left)) or metres == 0
        elif found.state is State.LOCALIZED:
            assert np.hypot(*(found.pose - true)[:2, 3]) < 0.5
    assert found.state is State.LOCALIZED and alone >= 2


def test_without_odometry_nothing_is_localized():
    guard = Guard()
    one = guard.take(Answer(0, (candidate(at(0)),), True, None))
    assert one.state is State.UNKNOWN and "odometry" in one.why


def test_an_answer_without_odometry_says_unknown_and_changes_nothing():
    guard = Guard()
    states(guard, [right(float(i)) for i in range(6)])
    gap = guard.take(Answer(5 * NS + 1, (candidate(at(5.5)),), True, None))
    assert (gap.state, gap.pose, gap.from_odometry, gap.stamp_ns) == (State.UNKNOWN, None, None, 5 * NS + 1)
    again = guard.take(right(6.0))
    assert again.state is State.LOCALIZED and not again.relocalized


def test_after_a_long_way_without_answers_it_is_lost():
    guard = Guard()
    states(guard, [right(float(i)) for i in range(6)])
    found = [guard.take(answer(5.0 + i, accepted=False)) for i in range(1, 300)]
    assert found[20].state is State.LOCALIZED and found[-1].state is State.LOST
    widths = [one.covariance[0, 0] for one in found if one.covariance is not None]
    assert widths == sorted(widths) and "no answer has agreed" in next(o.why for o in found if o.state is State.LOST)


def test_odometry_that_begins_anew_begins_everything_anew():
    guard = Guard()
    states(guard, [right(float(i)) for i in range(6)])
    jumped = Answer(7 * NS, (candidate(at(6.0)),), True, planar.matrix(np.array([900.0, 0, 0])))
    assert guard.take(jumped).state is State.UNKNOWN


def test_a_heading_that_is_not_known_becomes_known_by_another_sensor():
    guard, blind = Guard(), np.diag([1.0, 1.0, planar.YAW_OF_A_CIRCLE])
    for i in range(3):
        found = guard.take(answer(float(i), candidate(at(i, yaw=2.5), covariance=blind)))
    assert found.pose is None or found.covariance[2, 2] > 1.0
    for i in range(3, 7):
        found = guard.take(right(float(i)))
    assert found.state is State.LOCALIZED and found.covariance[2, 2] < 0.1
    assert planar.of(found.pose)[2] == pytest.approx(0, abs=0.1)


def drive(seed, length=120, wrong=0.04, guard=None):
    """Return (position error or None, state) after each metre of a bending drive whose odometry drifts."""
    draw = np.random.default_rng(seed)
    guard, true, counted = guard or Guard(), np.zeros(3), np.array([0.0, 0.0, 0.5])
    out = []
    for metre in range(length):
        step = np.array([1.0, 0.0, 0.1 * np.sin(metre / 9)])
        true = planar.after(true, step)
        counted = planar.after(counted, step + draw.normal(size=3) * (0.01, 0.01, 0.002))
        said = planar.after(true, draw.multivariate_normal(np.zeros(3), COVARIANCE))
        if draw.random() < wrong:
            said = np.array([*draw.uniform(-100, 100, 2), draw.uniform(-3, 3)])
        found = guard.take(Answer(metre, (candidate(planar.matrix(said)),), True, planar.matrix(counted)))
        error = None if found.pose is None else planar.between(planar.of(found.pose), true)
        out.append((error, found))
    return out


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_drives_are_localized_and_their_covariance_is_true(seed):
    found = drive(seed)
    localized = [(e, f) for e, f in found if e is not None]
    assert len(localized) > 0.85 * len(found)
    assert all(np.hypot(*e[:2]) < 3 for e, _ in localized)  # wrong answers took it nowhere
    inside = [e @ np.linalg.solve(f.covariance, e) <= 7.81 for e, f in localized]
    assert np.mean(inside) > 0.85


def test_the_same_answers_give_the_same_result():
    first, again = drive(3), drive(3)
    assert [f.why for _, f in first] == [f.why for _, f in again]
    guard = Guard()
    drive(4, guard=guard)
    guard.reset()
    assert [f.why for _, f in drive(3, guard=guard)] == [f.why for _, f in first]


@pytest.mark.parametrize("field", ["agreeing", "stride", "sure", "unsure", "widest"])
def test_settings_have_limits(field):
    from any2any_ros.errors import Any2AnyError

    with pytest.raises(Any2AnyError):
        GuardConfig(**{field: -1})
