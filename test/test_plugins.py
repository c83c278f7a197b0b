"""Plugs are found by name, and one of the wrong kind is refused."""

import sys

import pytest

from any2any_ros import encoders, plugins
from any2any_ros.encoders import ENCODERS
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.hearing import TRANSCRIBERS

# --- find -----------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a module into a folder on the Python path; its name is new every time, for modules stay imported."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(text, name="thermal"):
        folder = tmp_path / f"robot_{tmp_path.name}"
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
        (folder / f"{name}.py").write_text(text)
        return f"{folder.name}.{name}"

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("robot_"):
            del sys.modules[name]


PLUG = """class Thermal:
    plug, modality, accepts, topic, keeps, Config = "thermal", "thermal", "image", "thermal/image_raw", 1, dict
    dimension = fingerprint = property(lambda self: 1)

    def gather(self, sample, stamp_ns): ...

    def encode(self, sample): ...
"""


@pytest.mark.parametrize("registry", [ENCODERS, FUSIONS, TRANSCRIBERS], ids=lambda registry: registry.kind)
def test_every_plug_is_found_by_the_name_it_gives_itself(registry):
    names = registry.names()
    assert len(names) == len(set(names)) > 1 and list(names) == sorted(names)
    for name in names:
        assert registry.find(name).plug == name
    assert registry.all() == tuple(registry.find(name) for name in names)


def test_the_fusions_are_fusions_and_nothing_else():
    """A file beside them that is no fusion (CSA, EMMA) was once found under its name."""
    assert set(FUSIONS.names()) == {
        "any2any", "best_available", "likelihood_ratio", "min_max", "mixture", "raw_mean", "reciprocal_rank", "z_score",
    }  # fmt: skip
    for name in ("emma", "csa", "calmrl", "camera"):
        with pytest.raises(Any2AnyError, match=f"There is no fusion '{name}'"):
            FUSIONS.find(name)


def test_a_plug_of_another_kind_is_refused_with_what_it_lacks(package):
    dotted = package("class Odd:\n    plug = 'odd'\n    def score(self, similarity): ...\n")
    with pytest.raises(Any2AnyError, match=r"'odd' is no fusion: .*Odd has no kind, fit, pair_probability") as error:
        FUSIONS.find(dotted)
    assert "protocols.Fusion" in error.value.remedy


def test_a_plug_that_says_nothing_of_a_member_with_a_default_gets_the_default(package):
    cls = ENCODERS.find(package(PLUG))
    assert cls.space == "" and cls.focal is None


def test_a_plug_is_found_again_by_the_name_of_its_object(package):
    """A map records this name; by `plug` alone, the encoder of another package would not be found again."""
    dotted = package(PLUG)
    assert ENCODERS.name_of(ENCODERS.find(dotted)()) == dotted
    assert ENCODERS.name_of(encoders.build("camera")) == "camera"


def test_the_default_encoder_of_a_modality_is_the_plug_of_that_name():
    for name in ENCODERS.names():
        modality = ENCODERS.find(name).modality
        assert ENCODERS.find(modality).modality == modality


def test_a_module_of_somebody_else_is_found_by_its_dotted_name(package):
    assert ENCODERS.find(package(PLUG)).plug == "thermal"


def test_a_module_that_a_file_names_is_not_even_imported(package, tmp_path):
    dotted = package(f"open({str(tmp_path / 'ran')!r}, 'w')\n{PLUG}")
    with pytest.raises(Any2AnyError, match="importing it would run its code") as refusal:
        ENCODERS.find_recorded(dotted)
    assert f"--allow-module {dotted}" in refusal.value.remedy and "allow_modules" in refusal.value.remedy
    with pytest.raises(Any2AnyError, match="is not used"):
        encoders.rebuild(dotted, {})
    assert not (tmp_path / "ran").exists() and dotted not in plugins.allowed_modules()
    plugins.allow_module(dotted)
    assert ENCODERS.find_recorded(dotted).plug == "thermal" and dotted in plugins.allowed_modules()


def test_who_names_a_module_himself_allows_it(package):
    dotted = package(PLUG)
    ENCODERS.find(dotted)
    assert ENCODERS.find_recorded(dotted).plug == "thermal"


def test_a_file_may_name_what_is_ours_and_nothing_that_is_no_name():
    assert ENCODERS.find_recorded("lidar") is ENCODERS.find("lidar")
    for name in ("radar", None, 7, ["lidar"]):
        with pytest.raises(Any2AnyError, match="There is no encoder"):
            ENCODERS.find_recorded(name)


@pytest.mark.parametrize("name", ["", "thermal", ".thermal", "my_robot.", "my robot.thermal", "a/b.c", None])
def test_what_cannot_be_allowed(name):
    with pytest.raises(Any2AnyError, match="cannot be allowed"):
        plugins.allow_module(name)


def test_classes_that_a_module_only_imports_are_none_of_its_plugs(package):
    dotted = package(f"from any2any_ros.encoders.lidar import LidarEncoder\n{PLUG}class Helper:\n    pass\n")
    assert ENCODERS.find(dotted).__name__ == "Thermal"


@pytest.mark.parametrize(
    ("text", "why"), [("x = 1\n", "has 0 classes"), (PLUG + PLUG.replace("Thermal", "Other"), "has 2 classes")]
)
def test_a_module_with_no_plug_or_several_is_refused(package, text, why):
    with pytest.raises(Any2AnyError, match=why):
        ENCODERS.find(package(text))


@pytest.mark.parametrize("name", ["no_such_robot.thermal", "any2any_ros.no_such", ".", "..up", "a..b", "any2any_ros."])
def test_a_module_that_is_not_there_is_refused(name):
    with pytest.raises(Any2AnyError, match="is no plug"):
        ENCODERS.find(name)


def test_an_import_that_fails_inside_a_module_is_told(package):
    with pytest.raises(Any2AnyError, match="no_such_library"):
        ENCODERS.find(package("import no_such_library\n" + PLUG))


def test_an_unknown_plug_is_refused_with_those_there_are():
    with pytest.raises(
        Any2AnyError, match=r"no encoder 'radar': .*audio, birds_eye, camera, .*laser_submap, lidar"
    ) as e:
        ENCODERS.find("radar")
    assert "add any2any_ros/encoders/radar.py" in e.value.remedy
