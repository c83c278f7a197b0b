"""The grounder answers commands: by the objects it remembers, with a verdict in words; a restart changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
from grounder_table import DIMS, WHOLE, model, view_of

from any2any_ros.calibration import objects as object_calibration
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects import grounding_model
from any2any_ros.objects.grounder import Grounder, Verdict
from any2any_ros.objects.object_memory import MemoryConfig
from any2any_ros.objects.proposals import ProposalConfig
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import ObservationSet
from any2any_ros.ranking import Match, Ranking
from any2any_ros.samples import Sound

# --- being asked ----------------------------------------------------------------------------------------------------


def test_the_answer_follows_the_memory(frames):
    grounder = Grounder(WHOLE)
    command = grounder.command("the blue mug", stamp_ns=7)
    nothing = grounder.answer(command)
    assert nothing.matches == () and grounder.verdict(nothing) is Verdict.NO_OBJECTS
    assert grounder.in_words(nothing, Verdict.NO_OBJECTS) == "I have seen no objects yet"
    for frame in frames[:2]:
        grounder.see(view_of(frame))
    found = grounder.answer(command, k=100)
    assert {m.id for m in found.matches} == {o.id for o in grounder.memory.believed}
    assert len(grounder.answer(command, k=2).matches) == 2 and found.stamp_ns == 7
    places = {o.id: o.centre for o in grounder.memory.believed}
    for match in found.matches:
        np.testing.assert_allclose(match.pose[:3, 3], places[match.id])
    assert grounder.verdict(found) is Verdict.NOT_CALIBRATED and not found.accepted


def test_objects_are_ranked_by_the_mean_likeness_to_what_was_said(seen):
    """Eq. 9, by hand."""
    command = seen.command("a red hammer")
    found = seen.answer(command, k=100)
    text = command.embeddings["text"]
    score = {o.id: np.mean([text @ o.vector(m) for m in ("camera", "depth")]) for o in seen.memory.believed}
    assert [m.id for m in found.matches] == sorted(score, key=lambda name: -score[name])


@pytest.fixture(scope="module")
def calibrated():
    draw = np.random.default_rng(0)
    instances = np.repeat([f"o{i}" for i in range(24)], 4)
    columns = {m: draw.normal(0, 0.05, (96, r.dimension)) for m, r in WHOLE.records.items()}
    views = ObservationSet(columns, np.full((96, 4, 4), np.nan), tuple(f"v{i}" for i in range(96)))
    described = ObjectViews(dict(views.embeddings), np.array(views.ids), np.char.add("c", instances), instances, {})
    return replace(WHOLE, calibration=object_calibration.fit(WHOLE, described))


def test_calibrated_on_noise_it_does_not_claim_to_know(calibrated, frames):
    grounder = Grounder(calibrated)
    for frame in frames[:2]:
        grounder.see(view_of(frame))
    found = grounder.answer(grounder.command("the blue mug"))
    assert 0 <= found.probability < 0.5 and not found.accepted
    assert grounder.verdict(found) in (Verdict.NOT_FOUND, Verdict.AMBIGUOUS)


def ranking(*probability, accepted=False, presence=0.1, likely=()):
    pose = np.eye(4)
    pose[:3, 3] = [1, 2.5, 0.75]
    matches = tuple(Match(f"object-{i}", p, 0.0, pose, np.zeros((1, 2))) for i, p in enumerate(probability))
    inside = tuple(f"object-{i}" for i in likely)
    return Ranking(matches, ("text",), accepted=accepted, presence=presence, place_set=inside)


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (ranking(), Verdict.NO_OBJECTS, "I have seen no objects yet"),
        (ranking(0.93, 0.02, accepted=True), Verdict.FOUND, "It is object-0 at (1.00, 2.50, 0.75), I am 93% sure"),
        (ranking(0.2, 0.1), Verdict.NOT_FOUND,
         "I see no such object; most similar is object-0 at (1.00, 2.50, 0.75), 20%"),
        (ranking(0.4, 0.3, 0.05, presence=0.8, likely=(0, 1)), Verdict.AMBIGUOUS,
         "Which of these? object-0 (40%), object-1 (30%)"),
        (ranking(0.7, 0.05, presence=0.8, likely=(0,)), Verdict.AMBIGUOUS,
         "Perhaps it is object-0 at (1.00, 2.50, 0.75), I am 70% sure"),
        (ranking(np.nan, np.nan), Verdict.NOT_CALIBRATED,
         "Most similar is object-0 at (1.00, 2.50, 0.75); "
         "the model is not calibrated, so I cannot say how sure that is"),
    ],
)  # fmt: skip
def test_every_verdict_has_its_words(answer, verdict, words):
    grounder = Grounder(WHOLE)
    assert grounder.verdict(answer) is verdict
    assert grounder.in_words(answer, verdict) == words


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "...", "the it is"])
def test_words_that_say_nothing_are_no_command(text):
    with pytest.raises(Any2AnyError, match=r"There is no command: .*Say what to look for"):
        Grounder(WHOLE).command(text)


def test_however_long_a_command_is_it_is_one():
    grounder = Grounder(WHOLE)
    long = ("the mug beside the book " * 500)[:10_000]
    assert grounder.command(long).embeddings["text"].shape == (DIMS,)
    again = grounder.command(long + " and much more" * 1000)
    np.testing.assert_array_equal(again.embeddings["text"], grounder.command(long + " and").embeddings["text"])


def test_a_book_is_no_command():
    with pytest.raises(Any2AnyError, match="it has 100,000 characters, and at most 65,536 are read"):
        Grounder(WHOLE).command("word " * 20_000)


def test_what_the_model_has_no_head_for_is_not_heard():
    deaf, blind = Grounder(WHOLE), Grounder(model("speech", "camera"))
    sound = spoken()
    with pytest.raises(Any2AnyError, match=r"the command has nothing that this model reads \(text\)"):
        deaf.command(speech=sound)
    with pytest.raises(Any2AnyError, match=r"the command has nothing that this model reads \(speech\)"):
        blind.command("the blue mug")
    assert set(blind.command("the blue mug", sound).embeddings) == {"speech"}


def spoken():
    draw = np.random.default_rng(0)
    t = np.arange(8000) / 8000
    tone = sum(np.sin(2 * np.pi * f * t * (1 + 0.3 * np.sin(9 * t))) for f in (180, 700, 1900))
    return Sound((0.2 * tone * np.abs(np.sin(8 * t)) + 0.01 * draw.normal(size=8000)).astype(np.float32), 8000)


def test_words_and_sound_are_one_command_and_one_that_is_no_use_is_left_out():
    both = Grounder(model("text", "speech", "camera"))
    silence = Sound(np.zeros(8000, np.float32), 8000)
    assert set(both.command("a mug", spoken()).embeddings) == {"text", "speech"}
    assert set(both.command("a mug", silence).embeddings) == {"text"}
    assert set(both.command("...", spoken()).embeddings) == {"speech"}
    with pytest.raises(Any2AnyError, match="There is no command"):
        both.command("", silence)


# --- kept -----------------------------------------------------------------------------------------------------------


def test_what_was_remembered_is_answered_after_a_restart(seen, tmp_path):
    seen.memory.save(tmp_path / "objects")
    grounding_model.save(WHOLE, tmp_path / "model")
    again = Grounder.open(tmp_path / "model", memory=MemoryConfig(gone=5), proposals=ProposalConfig(reach=2.0))
    assert again.answer(again.command("a mug")).matches == ()
    again.load_objects(tmp_path / "objects")
    one, two = (g.answer(g.command("a red mug"), 50) for g in (seen, again))
    assert [(m.id, m.score) for m in one.matches] == [(m.id, m.score) for m in two.matches] and one.matches
    assert again.memory.config == MemoryConfig(gone=5)


def test_objects_of_other_heads_are_refused_and_what_is_known_stays(seen, frames, tmp_path):
    seen.memory.save(tmp_path)
    other = Grounder(model("text", "camera", "depth", seed=1))
    other.see(view_of(frames[0]))
    known = other.memory.everything
    with pytest.raises(Any2AnyError, match="other encoders or heads"):
        other.load_objects(tmp_path)
    assert other.memory.everything == known
    with pytest.raises(Any2AnyError, match="Cannot use the objects"):
        other.load_objects(tmp_path / "absent")
