"""Text by pretrained networks: what transformers makes of it."""

import shutil

import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Encoder

FAMILIES = ("clip", "siglip", "clap", "bert", "sentence")


def build(folder):
    return encoders.build("language", {"model": str(folder)})


@pytest.mark.parametrize("family", FAMILIES)
def test_is_an_encoder_and_many_at_once_are_what_each_is_alone(tiny, family):
    encoder = build(tiny(family))
    assert isinstance(encoder, Encoder) and encoder.modality == "text"
    texts = ["a blue mug", "up", "two cars to warm up a red brick house", "words it has never seen"]
    alone = np.array([encoder.encode(t) for t in texts])
    np.testing.assert_allclose(encoder.encode_batch(texts), alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-5)
    assert abs(alone @ alone.T - 1).max() > 1e-3  # they differ


@pytest.mark.parametrize("family", FAMILIES)
def test_a_long_text_is_cut_and_an_empty_one_refused(tiny, family):
    encoder = build(tiny(family))
    assert np.isfinite(encoder.encode("two cars " * 5000)).all()
    for nothing in ("", " \n\t"):
        with pytest.raises(Any2AnyError, match="it is empty"):
            encoder.encode(nothing)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_equals_the_whole_network(tiny, family):
    import torch
    import transformers

    model = getattr(transformers, {"clip": "CLIPModel", "siglip": "SiglipModel"}[family]).from_pretrained(tiny(family))
    encoder = build(tiny(family))
    tokens = encoder.tokenizer.encode("a blue mug")
    given = {"input_ids": torch.tensor([tokens.ids])}
    if family == "clip":
        given["attention_mask"] = torch.tensor([tokens.attention_mask])
    with torch.no_grad():
        out = model.eval().get_text_features(**given)
    theirs = (out if torch.is_tensor(out) else out.pooler_output)[0].numpy()
    assert encoder.encode("a blue mug") @ theirs / np.linalg.norm(theirs) > 1 - 1e-5


def test_bert_gives_the_mean_of_its_last_four_layers_side_by_side(tiny):
    """EMMA's 3072 numbers for a base model, written out."""
    import torch
    from transformers import BertModel

    encoder = build(tiny("bert"))
    ids = encoder.tokenizer.encode("a blue mug").ids
    with torch.no_grad():
        layers = BertModel.from_pretrained(tiny("bert")).eval()(torch.tensor([ids]), output_hidden_states=True)
    expected = np.concatenate([h[0].numpy().mean(axis=0) for h in layers.hidden_states[-4:]])
    assert encoder.dimension == 4 * 32
    np.testing.assert_allclose(encoder.encode("a blue mug"), expected / np.linalg.norm(expected), atol=1e-5)


def test_a_sentence_model_gives_the_mean_of_its_last_layer(tiny):
    assert build(tiny("sentence")).dimension == 32


def test_without_a_tokenizer_it_says_which_file_is_missing(tiny, tmp_path):
    folder = shutil.copytree(tiny("bert"), tmp_path / "bert")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(Any2AnyError, match=r"Cannot read .*tokenizer\.json"):
        build(folder)
