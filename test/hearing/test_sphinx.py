"""Commands are recognised, everything else is not; unusable sounds and unknown words are named."""

import time
import wave

import numpy as np
import pytest

from any2any_ros import hearing
from any2any_ros.errors import Any2AnyError
from any2any_ros.hearing import TRANSCRIBERS, grammar
from any2any_ros.hearing.sphinx import contrast
from any2any_ros.protocols import Transcriber
from any2any_ros.samples import Sound

pytest.importorskip("pocketsphinx", reason="the recogniser: pip install 'any2any_ros[speech]'")

DIGITS = "zero one two three four five six seven eight nine".split()  # noqa: SIM905 - shorter so
RATE = 16000


@pytest.fixture(scope="module")
def everything():
    return hearing.build("sphinx")


def test_is_a_plug(sphinx):
    assert isinstance(sphinx, Transcriber) and TRANSCRIBERS.find("sphinx") is type(sphinx)
    assert sphinx.remark == ""


def test_every_word_of_the_defaults_is_in_the_dictionary(everything):
    assert everything.remark == ""


@pytest.mark.parametrize("voice", ["en-us+m1", "en-us+m3", "en-gb+f2"])
def test_a_command_is_understood(sphinx, say, voice):
    heard = sphinx.transcribe(say("bring me the blue mug", voice))
    assert grammar.meaning(heard.text) == ("bring", "blue", "mug")
    assert 0.5 <= heard.confidence <= 1 and 1 < heard.seconds < 3 and heard.remark == ""


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_the_sample_rate_does_not_matter(sphinx, say, rate):
    assert grammar.meaning(sphinx.transcribe(say("bring me the red mug", rate=rate)).text) == ("bring", "red", "mug")


def test_with_every_default_word_most_commands_are_understood(everything, say):
    said = ["bring me the blue mug", "find the yellow banana", "pick up the hammer", "where is the green bottle"]
    heard = [grammar.meaning(everything.transcribe(say(text)).text) == grammar.meaning(text) for text in said]
    assert np.mean(heard) >= 0.5  # by chance: one in 100,000


@pytest.mark.parametrize(
    ("text", "voice"),
    [("the weather is nice today in the city", "en-us+m1"), ("guten morgen ich möchte ein bier", "de"),
     ("il fait très beau aujourd'hui", "fr"), ("he told me a story about my brother", "en-gb+f2")],
)  # fmt: skip
def test_other_speech_is_no_command(sphinx, everything, say, text, voice):
    for listener in (sphinx, everything):
        assert listener.transcribe(say(text, voice)).text == ""


@pytest.mark.parametrize("level", [1e-4, 0.1])
@pytest.mark.parametrize("seconds", [0.3, 3.0])
def test_noise_is_no_command(sphinx, level, seconds):
    noise = np.random.default_rng(0).normal(0, level, int(RATE * seconds)).astype(np.float32)
    assert sphinx.transcribe(Sound(noise, RATE)).text == ""


def test_a_command_in_too_much_noise_is_none_and_the_remark_says_so(sphinx, say):
    clear = say("bring me the blue mug", rate=RATE)
    noise = np.random.default_rng(0).normal(0, 0.1, len(clear.samples)).astype(np.float32)
    heard = sphinx.transcribe(Sound(clear.samples + noise, RATE))
    assert heard.text == "" and heard.confidence == 0 and "too noisy" in heard.remark
    bold = hearing.build("sphinx", {"objects": "mug", "contrast": 0.0})
    assert bold.transcribe(Sound(clear.samples + noise, RATE)).remark == ""


def test_the_contrast_is_that_of_the_loud_and_the_quiet_half():
    x = np.r_[np.full(8000, 0.5), np.full(8000, 0.05)] * np.where(np.arange(16000) % 2, 1, -1)
    assert contrast(x) == pytest.approx(20)
    assert contrast(np.zeros(400)) == 0


def test_a_hum_is_no_command(sphinx):
    t = np.arange(3 * RATE) / RATE
    assert sphinx.transcribe(Sound(np.sin(2 * np.pi * 50 * t).astype(np.float32), RATE)).text == ""


def test_the_same_sound_gives_the_same_words_whatever_was_heard_before(sphinx, say):
    sound = say("bring me the red mug")
    first = sphinx.transcribe(sound)
    sphinx.transcribe(say("good morning everybody", "en-gb+f2"))
    assert sphinx.transcribe(sound) == first
    assert sphinx.transcribe(Sound(sound.samples * np.float32(0.01), sound.rate)).text == first.text


def test_who_accepts_everything_hears_a_command_in_anything(say):
    few = {"openings": "find", "adjectives": "red", "objects": "mug"}
    sound = say("the weather is nice today")
    doubtful = hearing.build("sphinx", few | {"accept": 0.0}).transcribe(sound)
    assert doubtful.text and doubtful.confidence < 0.5
    assert hearing.build("sphinx", few).transcribe(sound).text == ""


def test_ten_minutes_are_cut_and_take_seconds(sphinx):
    t = np.arange(600 * RATE) / RATE
    noise = (np.random.default_rng(0).normal(0, 0.1, len(t)) * np.sin(10 * t) ** 4).astype(np.float32)
    start = time.process_time()
    heard = sphinx.transcribe(Sound(noise, RATE))
    assert heard.seconds == 15 and "only the first 15 s" in heard.remark
    assert time.process_time() - start < 20


def test_what_cannot_be_speech_is_refused(sphinx):
    with pytest.raises(Any2AnyError, match="a sample is not finite"):
        sphinx.transcribe(Sound(np.full(RATE, np.nan, np.float32), RATE))


# --- words ----------------------------------------------------------------------------------------------------


def test_a_word_that_is_not_in_the_dictionary_is_told():
    listener = hearing.build("sphinx", {"objects": "mug, blorgnix, zorg mug"})
    assert listener.remark == "not in the dictionary, so it cannot be recognised: blorgnix, zorg"


def test_a_word_can_be_given_its_sound(say):
    listener = hearing.build("sphinx", {"objects": "grogu, mug", "pronunciations": "Grogu g r ow g uw"})
    assert listener.remark == ""
    assert listener.transcribe(say("bring me the groh goo")).text.endswith("grogu")


@pytest.mark.parametrize("entry", ["grogu", "grogu XX", "gr;gu G R", "mug M AH G, grogu "])
def test_a_sound_that_cannot_be_is_refused(entry):
    with pytest.raises(Any2AnyError, match="Cannot pronounce"):
        hearing.build("sphinx", {"pronunciations": entry})


def test_a_grammar_of_ones_own(tmp_path, say):
    path = tmp_path / "lights.gram"
    path.write_text("#JSGF V1.0; grammar lights; public <light> = turn the (kitchen | hall) light (on | off);")
    listener = hearing.build("sphinx", {"grammar": str(path)})
    assert listener.transcribe(say("turn the kitchen light off")).text == "turn the kitchen light off"
    assert listener.transcribe(say("guten morgen ich möchte ein bier", "de")).text == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Cannot listen for the grammar"),
        ("red | blue", "Cannot listen for the grammar"),
        ("#JSGF V1.0; grammar g; <a> = red;", "Cannot listen for the grammar"),
        ("#JSGF V1.0; grammar g; public <a> = (red;", "Cannot listen for the grammar"),
        ("#JSGF V1.0; grammar g; public <a> = red blorgnix | zorg;", "the dictionary lacks blorgnix, zorg"),
    ],
)
def test_a_grammar_that_cannot_be_is_refused(tmp_path, text, why):
    path = tmp_path / "some.gram"
    path.write_text(text)
    with pytest.raises(Any2AnyError, match=why):
        hearing.build("sphinx", {"grammar": str(path)})


def test_a_grammar_that_is_not_there_is_refused(tmp_path):
    for path, content in ((tmp_path / "absent.gram", None), (tmp_path / "binary.gram", b"\xff\xfe\x00")):
        if content:
            path.write_bytes(content)
        with pytest.raises(Any2AnyError, match=path.name):
            hearing.build("sphinx", {"grammar": str(path)})


# --- real voices ----------------------------------------------------------------------------------------------


def test_real_digits(shared_data, tmp_path):
    """Two people over the telephone's 8 kHz; chance is one in ten."""
    path = tmp_path / "digits.gram"
    path.write_text(f"#JSGF V1.0; grammar digits; public <digit> = {' | '.join(DIGITS)};")
    listener = hearing.build("sphinx", {"grammar": str(path), "accept": 0.0})
    right = []
    for recording in sorted((shared_data / "speech").glob("*_[jl]*_0.wav")):
        with wave.open(str(recording)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
            heard = listener.transcribe(Sound(samples, file.getframerate()))
        right.append(heard.text == DIGITS[int(recording.name[0])])
    assert len(right) == 20 and np.mean(right) > 0.6
