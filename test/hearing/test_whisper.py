"""Whisper's road from disk to words, with a tiny network of random weights; and what it says without any."""

import numpy as np
import pytest

from any2any_ros import hearing
from any2any_ros.errors import Any2AnyError
from any2any_ros.hearing import whisper
from any2any_ros.protocols import Transcriber
from any2any_ros.samples import Sound

transformers = pytest.importorskip("transformers", reason="Whisper: run `make torch`")
torch = pytest.importorskip("torch", reason="Whisper: run `make torch`")
WORDS = ["blue", "mug", "bring", "me", "the"]
RATE = 16000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Whisper with one layer and seven words, saved as the real ones are."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizerFast,
    )

    special = ["<|endoftext|>", "<|startoftranscript|>", "<|nospeech|>", "<|notimestamps|>"]
    names = {name: i for i, name in enumerate(special + ["Ġ" + word for word in WORDS])}
    core = Tokenizer(models.WordLevel(names, unk_token="<|endoftext|>"))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    from tokenizers import decoders

    core.decoder = decoders.ByteLevel()
    tokenizer = WhisperTokenizerFast(
        tokenizer_object=core, bos_token=special[0], eos_token=special[0], unk_token=special[0], pad_token=special[0],
        additional_special_tokens=special[1:],
    )  # fmt: skip
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(names), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_target_positions=64, pad_token_id=0,
        bos_token_id=0, eos_token_id=0, decoder_start_token_id=1,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=1, eos_token_id=0, pad_token_id=0, bos_token_id=0, is_multilingual=False,
        no_timestamps_token_id=3, return_timestamps=False, max_length=64,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("whisper")
    model.save_pretrained(path)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def listener(folder):
    return hearing.build("whisper", {"model": str(folder), "accept": 0.0, "tokens": 8})


def noise(seconds=1.0, seed=0):
    return Sound(np.random.default_rng(seed).normal(0, 0.1, int(RATE * seconds)).astype(np.float32), RATE)


def test_is_a_plug_that_is_loaded_from_disk(listener):
    assert isinstance(listener, Transcriber) and listener.remark == ""


def test_words_come_out_with_a_confidence(listener):
    heard = listener.transcribe(noise())
    assert heard.text and set(heard.text.split()) <= set(WORDS) and len(heard.text.split()) <= 8
    assert 0 < heard.confidence < 1 and heard.seconds == pytest.approx(1)
    assert listener.transcribe(noise()) == heard


def test_the_confidence_is_speech_at_all_times_the_mean_token(listener):
    """Step by step with the network itself."""
    x, _ = whisper.prepare(noise(), 30)
    features = listener._processor(x.astype("float32"), sampling_rate=RATE, return_tensors="pt").input_features
    tokens, logs = [1, 3], []  # without time stamps
    with torch.inference_mode():
        for _ in range(8):
            logits = listener._model(features, decoder_input_ids=torch.tensor([tokens])).logits[0]
            p = logits[-1].log_softmax(-1)
            tokens.append(int(p.argmax()))
            logs.append(float(p.max()))
            if tokens[-1] == 0:
                break
        nothing = float(logits[0].softmax(-1)[2])
    said = " ".join(WORDS[t - 4] for t in tokens if t >= 4)
    assert said
    heard = listener.transcribe(noise())
    assert heard.text == said
    assert heard.confidence == pytest.approx((1 - nothing) * np.exp(np.mean(logs)), rel=1e-3)


def test_what_it_is_not_sure_of_is_not_said(folder):
    doubtful = hearing.build("whisper", {"model": str(folder), "accept": 0.99, "tokens": 8}).transcribe(noise())
    assert doubtful.text == "" and 0 < doubtful.confidence < 0.99


def test_a_long_sound_is_cut_and_a_bad_one_refused(listener):
    heard = listener.transcribe(noise(600))
    assert heard.seconds == 30 and "only the first 30 s" in heard.remark
    with pytest.raises(Any2AnyError, match="not finite"):
        listener.transcribe(Sound(np.full(RATE, np.nan, np.float32), RATE))


def test_the_threads_of_the_process_stay_what_they_were(listener):
    before = torch.get_num_threads()
    listener.transcribe(noise())
    assert torch.get_num_threads() == before


def test_without_weights_one_line_says_where_it_looked_and_how_to_get_them(tmp_path, monkeypatch):
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it asked the network"))
    for model, looked in (
        (str(tmp_path / "absent"), str(tmp_path / "absent")),
        (str(tmp_path), str(tmp_path)),
        ("some/whisper", "models--some--whisper"),
    ):
        with pytest.raises(Any2AnyError, match="Whisper's weights are not here") as error:
            hearing.build("whisper", {"model": model})
        assert looked in error.value.why and "hf download " in error.value.remedy and "\n" not in str(error.value)
    assert "hf download some/whisper " in error.value.remedy


def test_damaged_weights_are_told(folder, tmp_path):
    import shutil

    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(Any2AnyError, match="broken has none that can be read"):
        hearing.build("whisper", {"model": str(broken)})
