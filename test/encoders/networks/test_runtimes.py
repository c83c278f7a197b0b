"""Runtimes: the same vectors from each, and what happens where one is missing, full or broken."""

import shutil

import numpy as np
import pytest

from any2any_ros.encoders.networks import tensorrt_runtime
from any2any_ros.encoders.networks.onnx_runtime import OnnxNetwork
from any2any_ros.encoders.networks.runtimes import open_network
from any2any_ros.encoders.networks.settings import RuntimeConfig
from any2any_ros.encoders.networks.torch_runtime import TorchNetwork
from any2any_ros.errors import Any2AnyError

torch = pytest.importorskip("torch", reason="no torch: run `make torch`")


class Scaled(torch.nn.Module):
    """(N, 3) -> (N, 4)."""

    def __init__(self, factor=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 4)
        self.factor = factor

    def forward(self, x):
        return self.factor * self.layer(x.to(self.layer.weight.dtype))


def rows(count=5):
    return np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    onnx = pytest.importorskip("onnx", reason="no onnx: run `make torch`")
    from onnx import TensorProto, helper, numpy_helper

    layer = Scaled().layer
    weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
    made = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["vector"], transB=1)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_torch_and_onnx_give_the_same(graph):
    expected = Scaled()(torch.from_numpy(rows())).detach().numpy()
    for graph_or_none in (None, graph):
        network = open_network(graph_or_none, Scaled, RuntimeConfig(device="cpu"))
        np.testing.assert_allclose(network(x=rows()), expected, atol=1e-6)
        assert network.name == ("torch cpu fp32" if graph_or_none is None else "onnx cpu")


@pytest.mark.parametrize(("precision", "allowed"), [("fp16", 2e-3), ("bf16", 2e-2)])
def test_half_the_bits_are_nearly_the_same(precision, allowed):
    network = TorchNetwork(Scaled(), RuntimeConfig(device="cpu", precision=precision))
    found = network(x=rows())
    assert found.dtype == np.float32 and network.name == f"torch cpu {precision}"
    np.testing.assert_allclose(found, Scaled()(torch.from_numpy(rows())).detach().numpy(), atol=allowed)


def test_threads_are_the_networks_own_and_given_back():
    before = torch.get_num_threads()
    seen = []

    class Looks(Scaled):
        def forward(self, x):
            seen.append(torch.get_num_threads())
            return super().forward(x)

    TorchNetwork(Looks(), RuntimeConfig(device="cpu", threads=2))(x=rows())
    assert seen == [2] and torch.get_num_threads() == before


def test_a_gpu_that_is_not_there_is_said(graph):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(Any2AnyError, match="PyTorch finds no GPU"):
        TorchNetwork(Scaled(), RuntimeConfig(device="cuda"))
    with pytest.raises(Any2AnyError, match="ONNX Runtime has only"):
        OnnxNetwork(graph, RuntimeConfig(device="cuda"))


def test_a_full_gpu_leaves_the_work_to_the_cpu_with_one_warning(monkeypatch):
    network = TorchNetwork(Scaled(), RuntimeConfig(device="cpu"))
    expected = network(x=rows())
    network._device, run = "cuda", network._run

    def full(inputs):
        if network._device == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return run(inputs)

    monkeypatch.setattr(network, "_run", full)
    with pytest.warns(UserWarning, match=r"GPU has no memory left .*Lower the batch") as said:
        found = [network(x=rows()) for _ in range(2)]
    np.testing.assert_array_equal(found, [expected, expected])
    assert len(said) == 1 and network.name == "torch cpu fp32"


def test_a_network_that_was_not_exported_says_so():
    for runtime in ("onnx", "tensorrt"):
        with pytest.raises(Any2AnyError, match="it was not exported"):
            open_network(None, Scaled, RuntimeConfig(runtime=runtime))


@pytest.mark.parametrize("content", [b"", b"no graph", None])
def test_a_damaged_graph_is_refused(graph, tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(graph.read_bytes()[:60] if content is None else content)
    with pytest.raises(Any2AnyError, match=r"Cannot load the model .*export it again"):
        open_network(path, Scaled, RuntimeConfig())


def test_a_graph_of_a_later_opset_is_refused(graph, tmp_path):
    import onnx

    model = onnx.load(graph)
    model.opset_import[0].version = 999
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(Any2AnyError, match="Cannot load the model"):
        open_network(tmp_path / "model.onnx", Scaled, RuntimeConfig())


def test_a_graph_of_another_encoder_is_refused(graph):
    with pytest.raises(Any2AnyError, match="it takes x, the encoder gives pixels"):
        OnnxNetwork(graph, RuntimeConfig())(pixels=rows())


def test_where_tensorrt_is_missing_onnx_runtime_goes_on_with_one_warning(graph):
    if not _absent("tensorrt"):
        pytest.skip("TensorRT is there")
    with pytest.warns(UserWarning, match="TensorRT cannot be used.*ONNX Runtime runs") as said:
        network = open_network(graph, Scaled, RuntimeConfig(runtime="tensorrt"))
    assert network.name.startswith("onnx") and len(said) == 1


def _absent(name):
    import importlib.util

    return importlib.util.find_spec(name) is None


def test_an_engine_is_good_for_one_gpu_version_precision_and_graph(graph, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    other = tmp_path / "model.onnx"
    shutil.copy(graph, other)
    kept = {
        tensorrt_runtime.engine_path(*key).name
        for key in [
            (graph, "NVIDIA Orin", "10.3.0", "fp16"),
            (graph, "NVIDIA H200", "10.3.0", "fp16"),
            (graph, "NVIDIA Orin", "10.4.0", "fp16"),
            (graph, "NVIDIA Orin", "10.3.0", "fp32"),
        ]
    }
    assert len(kept) == 4 and all(name.isprintable() and " " not in name for name in kept)
    same = tensorrt_runtime.engine_path(other, "NVIDIA Orin", "10.3.0", "fp16")
    assert same.parent == tmp_path / "cache/any2any_ros/engines" and same.name in kept  # not beside a stranger's graph
    other.write_bytes(other.read_bytes() + b"\0")
    assert tensorrt_runtime.engine_path(other, "NVIDIA Orin", "10.3.0", "fp16").name not in kept


def test_free_axes_get_the_sizes_an_engine_is_built_for():
    assert [tensorrt_runtime.profile_shape((-1, 3, 224, 224), i) for i in range(3)] == [
        (1, 3, 224, 224), (1, 3, 224, 224), (64, 3, 224, 224),
    ]  # fmt: skip
    assert [tensorrt_runtime.profile_shape((-1, -1), i) for i in range(3)] == [(1, 2), (1, 32), (64, 512)]
    assert tensorrt_runtime.profile_shape((1, -1), 1) == (1, 32)


def test_numbers_that_are_none_are_refused(tiny, monkeypatch):
    from any2any_ros import encoders, samples

    encoder = encoders.build("vision", {"model": str(tiny("vit"))})
    monkeypatch.setattr(encoder, "network", lambda **inputs: np.full((1, 32), np.nan, np.float32))
    with pytest.raises(Any2AnyError, match="some of its values are not finite"):
        encoder.encode(samples.example("image"))
