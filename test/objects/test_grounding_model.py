"""Models of objects: they are stored completely, and two of them have different fingerprints."""

import json
from dataclasses import replace

import numpy as np
import object_models
import pytest
from object_models import LATENT, MODALITIES, WIDTH, heads, linear, mixing, model, tables, world

from any2any_ros import encoders, storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects import grounding_model
from any2any_ros.objects.grounding_model import Model
from any2any_ros.objects.heads import EMMA
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import calibration
from any2any_ros.retrieval.map_header import EncoderRecord


@pytest.fixture(scope="module")
def calibrated():
    return object_models.calibrated()


# --- what a model is ------------------------------------------------------------------------------------------------


def test_what_is_said_what_is_seen_and_what_is_compared():
    whole = model()
    assert (whole.command_modalities, whole.object_modalities) == (("speech", "text"), ("camera", "depth"))
    assert set(whole.pairs) == {(q, r) for q in ("text", "speech") for r in ("camera", "depth")}
    part = model(("text", "depth"))
    assert part.pairs == (("text", "depth"),)
    assert set(part.reference_records()) == {"depth"} and part.reference_records()["depth"].dimension == LATENT


@pytest.mark.parametrize("modalities", [("text", "speech"), ("camera", "depth"), ("camera",), ()])
def test_a_model_needs_something_said_and_something_seen(modalities):
    with pytest.raises(Any2AnyError, match="fit together: it needs one of speech, text and one of camera, depth"):
        model(modalities)


def test_heads_and_encoders_must_be_of_the_same_modalities_and_widths():
    records = dict(model().records)
    for wrong in (
        {m: r for m, r in records.items() if m != "depth"}, records | {"thermal": records["text"]},
        records | {"text": EncoderRecord("text", "text-1", WIDTH + 1)},
    ):  # fmt: skip
        with pytest.raises(Any2AnyError, match=r"its heads take .*, its encoders make"):
            Model(heads(), wrong)


def test_vectors_of_what_is_the_same_meet_in_the_common_space():
    views, _, _ = world(4, 3, 2, seed=0, noise=0.0)
    trained = model()
    said, seen = trained.project(views, trained.command_modalities), trained.project(views, trained.object_modalities)
    assert said.modalities == ("speech", "text") and seen.modalities == ("camera", "depth")
    likeness = said.embeddings["text"] @ seen.embeddings["depth"].T
    np.testing.assert_allclose(np.diag(likeness), 1, atol=1e-4)
    missing = ObservationSet({"camera": np.full((1, WIDTH), np.nan)}, np.full((1, 4, 4), np.nan), ("a",))
    found = trained.project(missing, trained.object_modalities)
    assert found.modalities == ("camera",) and not found.present("camera").any()


@pytest.mark.parametrize("part", ["mean", "spread", "weights", "biases"])
@pytest.mark.parametrize("modality", ["camera", "depth"])
def test_the_fingerprint_changes_with_every_part_of_a_head(part, modality):
    before, changed = model(), heads()
    array = getattr(changed, part)[modality if part in ("mean", "spread") else f"{modality}/1"]
    array.flat[0] += 0.5
    after = Model(changed, before.records)
    for m in MODALITIES:
        assert (after.fingerprint(m) == before.fingerprint(m)) == (m != modality)


def test_the_fingerprint_changes_with_the_encoder():
    before = model()
    after = Model(before.heads, {**before.records, "depth": EncoderRecord("text", "depth-2", WIDTH)})
    assert after.fingerprint("depth") != before.fingerprint("depth")
    assert after.fingerprint("camera") == before.fingerprint("camera") == model().fingerprint("camera")


def real(settings=None):
    """Return a model whose text encoder is the real one."""
    text = encoders.build("text", settings or {"bins": WIDTH + 6})
    draw = np.random.default_rng(0)
    made = {"text": linear("text", draw.normal(size=(text.dimension, LATENT))),
            "camera": linear("camera", np.linalg.pinv(mixing("camera")))}  # fmt: skip
    state = [{m: h[i] for m, h in made.items()} for i in (0, 1)]
    layers = [{k: v for h in made.values() for k, v in h[i].items()} for i in (2, 3)]
    record = EncoderRecord("text", text.fingerprint, text.dimension, {"bins": text.dimension})
    return Model(EMMA(*state, *layers), {"text": record, "camera": EncoderRecord("crop", "crop-1", WIDTH)})


def test_an_encoder_with_its_head_encodes_into_the_common_space():
    trained = real()
    encoder = trained.encoder("text")
    vector = encoder.encode("the blue mug")
    assert vector.shape == (LATENT,) == (encoder.dimension,) and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    raw = encoders.build("text", {"bins": WIDTH + 6}).encode("the blue mug")
    np.testing.assert_allclose(vector, trained.heads.project("text", raw[None])[0])
    assert encoder.fingerprint == trained.fingerprint("text")
    with pytest.raises(Any2AnyError, match="names nothing"):
        encoder.encode("...")


def test_an_encoder_that_has_changed_since_is_refused():
    trained = real()
    with pytest.raises(
        Any2AnyError, match=r"'crop' is not the one .*: it is crop-1-.* now, they were made by crop-1\."
    ):
        trained.encoder("camera")


# --- on disk --------------------------------------------------------------------------------------------------------


def same(a, b):
    assert a.records == b.records and a.heads.modalities == b.heads.modalities
    assert all(a.fingerprint(m) == b.fingerprint(m) for m in a.records)
    for part in ("mean", "spread", "weights", "biases"):
        for name, array in getattr(a.heads, part).items():
            np.testing.assert_array_equal(getattr(b.heads, part)[name], array)


def test_a_model_comes_back_whole(calibrated, tmp_path):
    for number, kept in enumerate((model(), real(), calibrated)):
        grounding_model.save(kept, tmp_path / str(number))
        again = grounding_model.load(tmp_path / str(number))
        same(kept, again)
        assert (again.calibration is None) == (kept.calibration is None)
    assert again.calibration.table == calibrated.calibration.table
    pairs = zip(tables(calibrated, 20, 3, ("camera",)), tables(again, 20, 3, ("camera",)), strict=True)
    for (_, _, a), (_, _, b) in pairs:
        assert [(m.id, m.probability) for m in a.matches] == [(m.id, m.probability) for m in b.matches]
        assert a.accepted == b.accepted


def test_a_model_without_calibration_replaces_one_with(calibrated, tmp_path):
    grounding_model.save(calibrated, tmp_path)
    other = model(wrong=0.1)
    grounding_model.save(other, tmp_path)
    again = grounding_model.load(tmp_path)
    same(again, other)
    assert again.calibration is None and not (tmp_path / "calibration").exists()


def test_another_model_s_calibration_is_refused(calibrated, tmp_path):
    with pytest.raises(Any2AnyError, match="its calibration was made with other heads"):
        replace(model(wrong=0.1), calibration=calibrated.calibration)
    grounding_model.save(model(wrong=0.1), tmp_path)
    calibration.save(calibrated.calibration, tmp_path)
    with pytest.raises(Any2AnyError, match=r"Cannot read the model .*its calibration was made with other heads"):
        grounding_model.load(tmp_path)


def test_no_model_is_said(tmp_path):
    with pytest.raises(Any2AnyError, match=r"Cannot read the model .*it has no model\.json\. Train one"):
        grounding_model.load(tmp_path / "absent")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{", b"null", b"\xff\xfe", b'{"format": 99, "encoders": {}}', b'{"format": 1}',
        b'{"format": 1, "encoders": []}', b'{"format": 1, "encoders": {"text": {}}}',
        b'{"format": 1, "encoders": {"text": 3}}', b'{"format": 1, "encoders": {}}',
    ],
)  # fmt: skip
def test_a_damaged_description_is_refused(tmp_path, content):
    grounding_model.save(model(), tmp_path)
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(Any2AnyError, match=r"Cannot read the model .*Train one"):
        grounding_model.load(tmp_path)


@pytest.mark.parametrize("name", ["heads.npz", "calibration/calibration.json", "calibration/fusion.npz"])
@pytest.mark.parametrize("damage", ["absent", "cut"])
def test_damaged_parts_are_refused(calibrated, tmp_path, name, damage):
    grounding_model.save(calibrated, tmp_path)
    file = tmp_path / name
    content = file.read_bytes()
    file.unlink() if damage == "absent" else file.write_bytes(content[: len(content) // 2])
    with pytest.raises(Any2AnyError, match="Cannot read the model"):
        grounding_model.load(tmp_path)


def test_something_else_in_place_of_the_heads_is_refused(tmp_path, make_objects):
    grounding_model.save(model(), tmp_path)
    storage.save(make_objects(), tmp_path / "heads")
    with pytest.raises(Any2AnyError, match="it holds objects 'views'"):
        grounding_model.load(tmp_path)
    grounding_model.save(model(), tmp_path)
    header = json.loads((tmp_path / "model.json").read_text())
    del header["encoders"]["depth"]
    (tmp_path / "model.json").write_text(json.dumps(header))
    with pytest.raises(Any2AnyError, match="its heads take"):
        grounding_model.load(tmp_path)
