"""`any2any train`: what is learnt, its settings, figures with chance beside them; Ctrl-C keeps the best heads."""

import argparse
import json

import cv2
import numpy as np
import pytest

from any2any_ros import storage
from any2any_ros.cli import _train_objects, train
from any2any_ros.learning import emma
from any2any_ros.learning import emma_evaluation as evaluation
from any2any_ros.learning.cox import COX
from any2any_ros.learning.emma import EMMA
from any2any_ros.objects import grounding_model
from any2any_ros.objects.views import ObjectViews
from any2any_ros.workflows import described_objects

SETTINGS = ("--dims", 16, "--hidden", 24, "--steps", 150, "--interval", 25, "--learning-rate", 0.003)


@pytest.fixture
def data(make_objects, tmp_path):
    """Views of 10 classes of 5 objects each, on disk."""
    pytest.importorskip("torch", reason="PyTorch is absent: make torch")
    objects = make_objects(classes=10)
    objects.embeddings["speech"][::3] = np.nan
    storage.save(objects, tmp_path / "objects")
    return tmp_path / "objects"


def test_heads_their_story_and_a_picture_are_written(any2any, data, tmp_path):
    done = any2any("train", "emma", data, tmp_path / "heads", *SETTINGS)
    assert done.code == 0, done.err
    heads = storage.load(tmp_path / "heads" / "heads", EMMA)
    assert heads.modalities == ("camera", "depth", "speech", "text")
    story = json.loads((tmp_path / "heads" / "training.json").read_text())
    assert story["config"] | {"dims": 16, "steps": 150, "loss": "emma", "seed": 0} == story["config"]
    assert story["encoders"]["text"] == {"plug": "text", "fingerprint": "text-1", "dimension": 9, "settings": {}}
    model = grounding_model.load(tmp_path / "heads")
    assert model.pairs == tuple((said, seen) for said in ("speech", "text") for seen in ("camera", "depth"))
    assert model.calibration is not None and {row["pattern"] for row in story["trust"]} >= {"text", "speech+text"}
    assert story["views"] == {"train": 90, "held out": 30, "test": 30}
    assert story["test"]["tr"]["mrr"] > 0.65 > story["chance"]["mrr"]
    assert story["curve"][0]["step"] == 25 and len(story["curve"]) <= 6
    picture = cv2.imread(str(tmp_path / "heads" / "curves.png"))
    assert picture.shape[0] > 300 and picture.std() > 5


def test_the_table_shows_every_ablation_and_chance(any2any, data, tmp_path):
    whole = any2any("train", "emma", data, tmp_path / "heads", *SETTINGS).out
    assert whole.startswith("sensors alive")  # first, how far answers can be trusted
    lines = whole.split("\n\n")[1].strip().split("\n")
    assert lines[0].split() == ["said,", "seen", "commands", "MRR", "accuracy"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    assert tuple(rows) == (*evaluation.ABLATIONS, "chance")
    assert rows["chance"] == ["-", "0.457", "0.200"]
    assert rows["tr"][0] == "30" and int(rows["sr"][0]) < 30  # no speech, no such command


def test_the_heads_that_are_kept_are_those_of_the_best_look(any2any, data, tmp_path):
    any2any("train", "emma", data, tmp_path / "heads", *SETTINGS, "--seed", 3)
    story = json.loads((tmp_path / "heads" / "training.json").read_text())
    heads, objects = storage.load(tmp_path / "heads" / "heads", EMMA), storage.load(data, ObjectViews)
    from any2any_ros.data import splits
    from any2any_ros.workflows.described_objects import SHARES

    part = splits.by_instance(objects.classes, objects.instances, SHARES, 3)
    assert not set(objects.instances[part == 0]) & set(objects.instances[part != 0])
    kept = evaluation.validation(objects.take(part == 1), 3, "instance", 20)(heads)
    assert kept == pytest.approx(max(look["validation"] for look in story["curve"]))
    test = objects.take(part == 2)
    assert evaluation.evaluate(heads.distance, test, evaluation.trials_of(test, 3)) == story["test"]


def test_the_same_seed_gives_the_same_files(any2any, data, tmp_path):
    for name in ("one", "two"):
        assert any2any("train", "emma", data, tmp_path / name, *SETTINGS).code == 0
    for file in ("training.json", "heads.npz", "curves.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_control_c_keeps_the_best_so_far(any2any, data, tmp_path, monkeypatch):
    whole = emma.training

    def interrupted(*given):
        for look in whole(*given):
            yield look
            if look.number == 75:
                raise KeyboardInterrupt

    monkeypatch.setattr(emma, "training", interrupted)
    done = any2any("train", "emma", data, tmp_path / "heads", *SETTINGS)
    assert done.code == 0 and "stopped after 75 steps" in done.err
    assert len(json.loads((tmp_path / "heads" / "training.json").read_text())["curve"]) == 3
    assert storage.load(tmp_path / "heads" / "heads", EMMA).modalities


def test_control_c_before_anything_is_learnt_is_the_usual_130(any2any, data, tmp_path, monkeypatch):
    def interrupted(*given):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(emma, "training", interrupted)
    assert any2any("train", "emma", data, tmp_path / "heads").code == 130
    assert not (tmp_path / "heads").exists()


def test_bad_inputs_are_refused_in_one_line(refused, any2any, data, make_objects, tmp_path):
    assert "There is no folder" in refused("train", "emma", tmp_path / "absent", tmp_path / "heads")
    storage.save(emma.fit(*_two_rows(), emma.EmmaConfig(dims=2, hidden=2, steps=1)), tmp_path / "other")
    assert "objects 'views' is expected" in refused("train", "emma", tmp_path / "other", tmp_path / "heads")
    assert "'loss'" in refused("train", "emma", data, tmp_path / "heads", "--loss", "hinge")
    storage.save(make_objects(classes=3), tmp_path / "few")
    assert "there are 3 classes" in refused("train", "emma", tmp_path / "few", tmp_path / "heads")
    assert any2any("train", "any2any", data, tmp_path / "heads").code == 2


def test_crops_are_encoded_by_what_is_made_for_crops(tmp_path):
    from any2any_ros.sim import tabletop

    table = tabletop.TabletopConfig(classes=1, instances=1, views=1, descriptions=1, utterances=0)
    tabletop.write(tmp_path / "things", table, workers=1, progress=False)
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    found = _train_objects.objects_of(parser.parse_args(["emma", str(tmp_path / "things"), "model"]))
    assert {m: r["plug"] for m, r in found.encoders.items()} == {"camera": "crop", "depth": "depth", "text": "text"}


# --- calmrl ---------------------------------------------------------------------------------------------------


def test_calmrl_makes_the_same_kind_of_model_and_says_what_imputing_is_worth(any2any, data, tmp_path):
    done = any2any("train", "calmrl", data, tmp_path / "heads", *SETTINGS)
    assert done.code == 0, done.err
    assert grounding_model.load(tmp_path / "heads").calibration is not None
    assert (tmp_path / "heads" / "curves.png").is_file()
    story = json.loads((tmp_path / "heads" / "training.json").read_text())
    assert story["config"]["loss"] == "calmrl" and story["config"]["warm_up"] == 100
    assert story["test"]["tr"]["mrr"] > 0.6 > story["chance"]["mrr"]
    assert "imputed by" in done.out and "shift of the anchor" in done.out
    nothing, means, ours = story["imputation"]
    assert [nothing["error"], nothing["imputed by"], ours["imputed by"]] == [None, "nothing", "CalMRL"]
    assert ours["error"] < 0.8 * means["error"] and 0.7 < means["error"] < 1.4  # the views are mirrors of one thing
    assert 0 < ours["shift"] < means["shift"] < 2 and 0 < nothing["shift"] < 2  # over seeds: test_train_heads.py


def test_emma_says_nothing_of_imputing(any2any, data, tmp_path):
    done = any2any("train", "emma", data, tmp_path / "heads", *SETTINGS, "--steps", 25)
    assert "imputed" not in done.out
    assert "imputation" not in json.loads((tmp_path / "heads" / "training.json").read_text())


def test_objects_of_which_none_is_complete_are_learnt_from_all_the_same(any2any, make_objects, tmp_path):
    pytest.importorskip("torch", reason="PyTorch is absent: make torch")
    objects = make_objects(classes=10)
    objects.embeddings["speech"][::2] = np.nan
    objects.embeddings["camera"][1::2] = np.nan
    storage.save(objects, tmp_path / "objects")
    done = any2any("train", "calmrl", tmp_path / "objects", tmp_path / "heads", *SETTINGS, "--steps", 50)
    assert done.code == 0, done.err
    assert "imputed by" not in done.out  # there is nothing to judge it by
    assert json.loads((tmp_path / "heads" / "training.json").read_text())["imputation"] == []


def test_calmrl_refuses_in_one_line_what_it_cannot_compare(refused, make_objects, tmp_path):
    pytest.importorskip("torch", reason="PyTorch is absent: make torch")
    storage.save(make_objects(modalities=("text",)), tmp_path / "alone")
    assert "cannot be queried" in refused("train", "calmrl", tmp_path / "alone", tmp_path / "heads")


# --- cox ------------------------------------------------------------------------------------------------------


@pytest.fixture
def known(make_objects, tmp_path):
    """Views of 6 classes of 10 objects; camera stands beside two descriptions each. No PyTorch is needed."""
    objects = make_objects(classes=6, instances=10, views=4)
    objects.embeddings["camera"][1::2] = objects.embeddings["camera"][::2]
    objects.embeddings["depth"][::7] = np.nan
    storage.save(objects, tmp_path / "known")
    return tmp_path / "known"


def test_a_new_sensor_is_taught_by_few_pairs(any2any, known, tmp_path):
    done = any2any("train", "cox", known, tmp_path / "cox", "--new", "speech", "--pairs", 0.05)
    assert done.code == 0, done.err
    model = storage.load(tmp_path / "cox" / "cox", COX)
    assert model.modalities == ("camera", "depth", "text") and len(model.classes) == 6
    story = json.loads((tmp_path / "cox" / "training.json").read_text())
    assert story["samples"] == {"known": 192, "new": 192, "paired": 10, "test": 48}
    assert story["config"]["new"] == "speech" and story["config"]["rounds"] == 3
    rows = {row["method"]: row for row in story["test"]}
    assert list(rows) == ["COX", "ERM on the pairs", "ridge to known heads", "chance"]
    assert rows["chance"]["accuracy"] == pytest.approx(1 / 6)
    assert rows["COX"]["accuracy"] > 0.4 and rows["COX"]["recall@1"] > 0.4
    assert [line.split("  ")[0] for line in done.out.strip().split("\n")[2:]] == list(rows)


def test_cox_is_judged_on_objects_it_has_not_seen(any2any, known, tmp_path):
    any2any("train", "cox", known, tmp_path / "cox", "--new", "speech", "--pairs", 0.1, "--seed", 2)
    model, objects = storage.load(tmp_path / "cox" / "cox", COX), storage.load(known, ObjectViews)
    test = objects.take(described_objects.split(objects, 2) == 2)
    story = json.loads((tmp_path / "cox" / "training.json").read_text())
    right = np.mean(model.classify(test.embeddings["speech"]) == test.classes)
    assert story["test"][0]["accuracy"] == pytest.approx(right)


def test_a_picture_beside_two_descriptions_is_one_sample(any2any, known, tmp_path):
    any2any("train", "cox", known, tmp_path / "cox", "--new", "camera", "--pairs", 0.1)
    samples = json.loads((tmp_path / "cox" / "training.json").read_text())["samples"]
    assert samples == {"known": 192, "new": 96, "paired": 10, "test": 24}


def test_the_same_seed_gives_the_same_cox(any2any, known, tmp_path):
    for name in ("one", "two"):
        assert any2any("train", "cox", known, tmp_path / name).code == 0
    for file in ("training.json", "cox.npz"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_cox_refuses_in_one_line_what_cannot_be_taught(refused, known, make_objects, tmp_path):
    out = tmp_path / "cox"
    assert "'radar' cannot be taught" in refused("train", "cox", known, out, "--new", "radar")
    assert "has no pair" in refused("train", "cox", known, out, "--pairs", 0.001)
    assert "'pairs'" in refused("train", "cox", known, out, "--pairs", 1.5)
    assert "nothing says which class" in refused("train", "cox", known, out, "--pairs", 0.0)
    storage.save(make_objects(modalities=("speech",)), tmp_path / "alone")
    assert "cannot be taught" in refused("train", "cox", tmp_path / "alone", out, "--new", "speech")
    objects = make_objects()
    objects.embeddings["speech"][:] = np.nan
    storage.save(objects, tmp_path / "silent")
    assert "have no sample of it" in refused("train", "cox", tmp_path / "silent", out, "--new", "speech")
    assert not out.exists()


def _two_rows():
    objects = ObjectViews({"text": np.eye(2, dtype=np.float32)}, np.array(["a_1_1", "b_1_1"]), np.array(["a", "b"]),
                      np.array(["a_1", "b_1"]), {})  # fmt: skip
    return objects.observations, objects.classes
