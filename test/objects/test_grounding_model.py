"""Models of objects: kept whole, told apart, and as sure as they are right on tables they have never seen."""

import json
from dataclasses import replace

import numpy as np
import pytest

from any2any_ros import encoders, storage
from any2any_ros.calibration import metrics
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.emma import EMMA
from any2any_ros.objects import grounding_model
from any2any_ros.objects.grounding_model import TABLE, Model
from any2any_ros.objects.views import Objects
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval import calibration
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap

LATENT, WIDTH = 6, 10
MODALITIES = ("text", "speech", "camera", "depth")


def mixing(modality):
    """Return (LATENT, WIDTH): how a modality shows what an object is."""
    return np.random.default_rng(MODALITIES.index(modality)).normal(size=(LATENT, WIDTH))


def linear(modality, project):
    """Return mean, spread, weights and biases of a head that is a linear map (WIDTH, K): max(x, 0) - max(-x, 0) = x."""
    k = project.shape[1]
    eye = np.eye(k)
    layers = [np.hstack([project, -project]), np.eye(2 * k), np.vstack([eye, -eye])]
    weights = {f"{modality}/{i}": w.astype(np.float32) for i, w in enumerate(layers)}
    biases = {name: np.zeros(w.shape[1], np.float32) for name, w in weights.items()}
    return np.zeros(len(project), np.float32), np.ones(len(project), np.float32), weights, biases


def heads(modalities=MODALITIES, wrong=0.0):
    """Return heads that undo the mixing; wrong: by how much they fail to."""
    draw = np.random.default_rng(9)
    parts = {m: np.linalg.pinv(mixing(m)) + wrong * draw.normal(size=(WIDTH, LATENT)) for m in modalities}
    made = {m: linear(m, p) for m, p in parts.items()}
    return EMMA(
        {m: h[0] for m, h in made.items()}, {m: h[1] for m, h in made.items()},
        {k: v for h in made.values() for k, v in h[2].items()}, {k: v for h in made.values() for k, v in h[3].items()},
    )  # fmt: skip


def model(modalities=MODALITIES, **options):
    return Model(heads(modalities, **options), {m: EncoderRecord("text", f"{m}-1", WIDTH) for m in modalities})


def world(classes, instances, views, seed, noise=0.5, modalities=MODALITIES):
    """Return views of new objects, their classes and their instances."""
    draw = np.random.default_rng(seed)
    kinds = np.random.default_rng(1).normal(size=(classes, 1, LATENT))
    what = np.repeat((kinds + 0.7 * draw.normal(size=(classes, instances, LATENT))).reshape(-1, LATENT), views, axis=0)
    columns = {m: (what @ mixing(m) + noise * draw.normal(size=(len(what), WIDTH))) / 3 for m in modalities}
    of_class = np.repeat([f"c{i}" for i in range(classes)], instances * views)
    instance = np.repeat([f"o{i}" for i in range(classes * instances)], views)
    ids = tuple(f"v{i}" for i in range(len(what)))
    return ObservationSet(columns, np.full((len(ids), 4, 4), np.nan), ids), of_class, instance


def described(views, classes, instances):
    return Objects(dict(views.embeddings), np.array(views.ids), classes, instances, {})


@pytest.fixture(scope="module")
def calibrated():
    views, classes, instances = world(8, 6, 5, seed=11)
    trained = model()
    return replace(trained, calibration=grounding_model.fitted(trained, described(views, classes, instances)))


def tables(trained, count, seed, seen, absent=0.2):
    """Yield what fresh tables are answered: whether the object was there, whether the answer was right, the ranking."""
    views, classes, instances = world(8, 8, 5, seed)
    draw = np.random.default_rng(seed)
    names = np.unique(instances)
    remembered = grounding_model._objects(trained, views, instances, names)
    said = trained.project(views, trained.said)
    whole = ObservationSet(
        {m: v[: len(names)] for m, v in remembered.places.embeddings.items()}, remembered.places.poses[: len(names)],
        tuple(names),
    ).only(seen)  # fmt: skip
    for _ in range(count):
        view = int(draw.integers(len(views)))
        own = int(np.searchsorted(names, instances[view]))
        there = draw.random() >= absent
        alike = [i for i in range(len(names)) if i != own and classes[instances == names[i]][0] == classes[view]]
        others = [i for i in range(len(names)) if i != own and i not in alike]
        near = list(draw.permutation(alike))[: TABLE - 1] if draw.integers(2) else []
        far = list(draw.permutation(others))[: TABLE - len(near) - there]
        places = whole.take([own] * bool(there) + near + far)
        reference = ReferenceMap(places, trained.reference_records())
        ranking = trained.calibrated_or_not().retriever(reference).rank(said.observation(view))
        yield there, ranking.matches[0].id == names[own], ranking


# --- what a model is ------------------------------------------------------------------------------------------------


def test_what_is_said_what_is_seen_and_what_is_compared():
    whole = model()
    assert (whole.said, whole.seen) == (("speech", "text"), ("camera", "depth"))
    assert set(whole.pairs) == {(q, r) for q in ("text", "speech") for r in ("camera", "depth")}
    part = model(("text", "depth"))
    assert part.pairs == (("text", "depth"),)
    assert set(part.reference_records()) == {"depth"} and part.reference_records()["depth"].dimension == LATENT


@pytest.mark.parametrize("modalities", [("text", "speech"), ("camera", "depth"), ("camera",), ()])
def test_a_model_needs_something_said_and_something_seen(modalities):
    with pytest.raises(Any2AnyError, match="does not fit together: of speech, text and camera, depth it knows"):
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
    said, seen = trained.project(views, trained.said), trained.project(views, trained.seen)
    assert said.modalities == ("speech", "text") and seen.modalities == ("camera", "depth")
    likeness = said.embeddings["text"] @ seen.embeddings["depth"].T
    np.testing.assert_allclose(np.diag(likeness), 1, atol=1e-4)
    missing = ObservationSet({"camera": np.full((1, WIDTH), np.nan)}, np.full((1, 4, 4), np.nan), ("a",))
    found = trained.project(missing, trained.seen)
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
    with pytest.raises(Any2AnyError, match="says nothing"):
        encoder.encode("...")


def test_an_encoder_that_has_changed_since_is_refused():
    trained = real()
    with pytest.raises(
        Any2AnyError, match=r"cannot use 'camera': the encoder is now crop-.*, the head .* with crop-1\."
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
    with pytest.raises(Any2AnyError, match="its calibration was made for other heads"):
        replace(model(wrong=0.1), calibration=calibrated.calibration)
    grounding_model.save(model(wrong=0.1), tmp_path)
    calibration.save(calibrated.calibration, tmp_path)
    with pytest.raises(Any2AnyError, match=r"Cannot read the model .*its calibration was made for other heads"):
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


@pytest.mark.parametrize("name", ["heads.npz", "heads.json", "calibration/calibration.json", "calibration/fusion.npz"])
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


# --- calibration ----------------------------------------------------------------------------------------------------


def test_without_calibration_it_ranks_and_promises_nothing():
    bare = model()
    found = list(tables(bare, 60, 5, ("camera", "depth"), absent=0.0))
    assert np.mean([right for _, right, _ in found]) > 0.6  # chance: 1/8
    assert all(np.isnan(ranking.probability) and not ranking.accepted for *_, ranking in found)


@pytest.mark.parametrize("seen", [("camera", "depth"), ("camera",), ("depth",)], ids="+".join)
def test_on_fresh_tables_it_is_as_sure_as_it_is_right(calibrated, seen):
    """Other objects than it was calibrated on; each fifth command means something that is not there. Chance: 1/8."""
    found = list(tables(calibrated, 400, 21, seen))
    there = np.array([t for t, _, _ in found])
    right = np.array([r for _, r, _ in found])
    probability = np.array([ranking.probability for *_, ranking in found])
    accepted = np.array([ranking.accepted for *_, ranking in found])
    assert right[there].mean() > 0.9 and not right[~there].any()
    assert metrics.expected_calibration_error(probability, right) < 0.1
    assert probability[~there].mean() < probability[there].mean() - 0.2
    assert accepted[there].mean() > 0.1
    assert right[accepted & there].mean() > 0.9 and accepted[~there].mean() < 0.1  # 0.9 and 0.05 are promised


def test_all_kinds_of_pictures_are_among_what_it_was_calibrated_on():
    views, _, instances = world(3, 4, 2, seed=0)
    views.embeddings["camera"][instances == "o1"] = np.nan
    names = np.unique(instances)
    trained = model()
    reference = grounding_model._objects(trained, views, instances, names)
    places, n = reference.places, len(names)
    assert len(reference) == 3 * n and len(set(places.ids)) == 3 * n
    one = list(names).index("o1")
    camera, depth = (places.present(m).reshape(3, n) for m in ("camera", "depth"))
    assert camera[1].sum() == n - 1 and not camera[:, one].any() and not camera[2].any()
    assert depth[0].all() and not depth[1].any() and depth[2].all()
    np.testing.assert_array_equal(places.embeddings["depth"][:n], places.embeddings["depth"][2 * n :])
    rows = trained.project(views, trained.seen).embeddings["depth"][instances == names[0]]
    mean = rows.mean(axis=0)
    np.testing.assert_allclose(places.embeddings["depth"][0], mean / np.linalg.norm(mean), atol=1e-6)


def test_tables_hold_the_one_that_is_meant_and_every_second_time_its_like():
    draw = np.random.default_rng(0)
    class_of = np.repeat(["a", "b", "c", "d"], 6)
    with_all = 0
    for _ in range(400):
        own = int(draw.integers(24))
        on_table = grounding_model._table(draw, class_of, own)
        assert on_table.sum() == TABLE and on_table[own]
        with_all += on_table[class_of == class_of[own]].all()
    assert 150 < with_all < 260


def test_one_kind_of_picture_alone_can_be_calibrated():
    views, classes, instances = world(4, 4, 4, seed=2, modalities=("text", "camera"))
    trained = model(("text", "camera"))
    found = grounding_model.fitted(trained, described(views, classes, instances))
    assert found.confidence is not None and found.pairs == (("text", "camera"),)
    assert found.encoders == {"camera": trained.fingerprint("camera")}


def test_the_same_seed_gives_the_same_calibration():
    views, classes, instances = world(4, 4, 3, seed=2, modalities=("text", "camera"))
    trained = model(("text", "camera"))
    one, two = (grounding_model.fitted(trained, described(views, classes, instances), seed=3) for _ in range(2))
    assert one.table == two.table and one.confidence.temperature == two.confidence.temperature


def test_too_few_objects_are_refused():
    views, classes, instances = world(TABLE - 1, 1, 3, seed=0)
    with pytest.raises(Any2AnyError, match="7 objects are set aside for it, 8 are needed"):
        grounding_model.fitted(model(), described(views, classes, instances))


def test_objects_of_which_nothing_was_said_are_refused():
    views, classes, instances = world(4, 3, 2, seed=0)
    with pytest.raises(Any2AnyError, match="Cannot calibrate"):
        grounding_model.fitted(model(), described(views.only(("camera", "depth")), classes, instances))


def test_a_command_in_another_space_is_refused(calibrated):
    views, _, instances = world(3, 4, 2, seed=0)
    reference = grounding_model._objects(calibrated, views, instances, np.unique(instances))
    with pytest.raises(Any2AnyError, match="'text' embedding does not fit the map"):
        calibrated.calibrated_or_not().retriever(reference).rank(Observation({"text": np.ones(LATENT + 1)}))
