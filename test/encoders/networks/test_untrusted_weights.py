"""The folder of a network is data: nothing in it is run, whatever its files ask for."""

import json
import os
import pickle
import shutil

import pytest

from any2any_ros import encoders
from any2any_ros.errors import Any2AnyError

CLASSES = ("AutoConfig", "AutoModel", "AutoProcessor", "AutoFeatureExtractor", "AutoTokenizer")


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("name", ["vit", "clip"])
def test_code_beside_the_weights_is_not_run(tiny, tmp_path, name):
    folder = shutil.copytree(tiny(name), tmp_path / "model")
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n")
    for file in folder.glob("*config.json"):
        content = json.loads(file.read_text()) | {"auto_map": dict.fromkeys(CLASSES, "evil.Evil")}
        file.write_text(json.dumps(content))
    assert encoders.build("vision", {"model": str(folder)}).dimension > 0
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("file", ["model/pytorch_model.bin", "liploc.pth"])
def test_pickled_weights_run_no_code(tiny, tmp_path, file):
    plug, model = ("liploc", tmp_path / file) if file == "liploc.pth" else ("vision", tmp_path / "model")
    (shutil.copytree(tiny("vit"), tmp_path / "model") / "model.safetensors").unlink()
    with open(tmp_path / file, "wb") as stream:
        pickle.dump({"weight": Evil(tmp_path / "ran")}, stream)
    with pytest.raises(Any2AnyError, match=r"Cannot (load|read)"):
        encoders.build(plug, {"model": str(model)})
    assert not (tmp_path / "ran").exists()
    pickle.loads((tmp_path / file).read_bytes())  # it would have worked
    assert (tmp_path / "ran").exists()


def test_a_hub_is_not_asked(tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub", reason="run `make torch`")
    import socket

    def no_network(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    for plug in ("vision", "language", "wav2vec2", "clap"):
        with pytest.raises(Any2AnyError, match="are not here"):
            encoders.build(plug, {"model": f"nobody/{tmp_path.name}"})
