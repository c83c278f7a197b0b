"""The SROS 2 policy: it allows what the running nodes do, and nothing that no node does."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from any2any_ros import share
from any2any_ros.encoders import ENCODERS, default
from any2any_ros.geometry.upright import SEES
from any2any_ros.node_config import EncoderNodeConfig
from any2any_ros.nodes import topology
from any2any_ros.nodes.bringup import Bringup

FILE = share.find("config", "sros2", "policy.xml")
INCLUDE = "{http://www.w3.org/2001/XInclude}include"
ATTRIBUTES = ("publish", "subscribe", "reply", "execute")  # our nodes call no service and no action
KINDS = {"publish": "topics", "subscribe": "topics", "reply": "services", "execute": "actions"}


def rules(profile):
    """Yield the elements of a profile, those that it includes among them."""
    for element in profile:
        if element.tag == INCLUDE:
            assert element.get("xpointer") == "xpointer(/profile/*)"
            yield from rules(ElementTree.parse(FILE.with_name(element.get("href"))).getroot())
        else:
            yield element


def absolute(name, node):
    return f"/{node}/{name[2:]}" if name.startswith("~/") else f"/{name.lstrip('/')}"


def read_policy():
    """Return what each node may do: (publish, subscribe, reply or execute; absolute name), by the node's name."""
    policy = ElementTree.parse(FILE).getroot()
    allowed = {}
    for enclave in policy.findall("enclaves/enclave"):
        (profile,) = enclave.findall("profiles/profile")
        node = profile.get("node")
        assert (enclave.get("path"), profile.get("ns")) == (topology.Process("", node).enclave, "/")
        allowed[node] = set()
        for element in rules(profile):
            for attribute in set(element.keys()):
                assert attribute in ATTRIBUTES and element.tag == KINDS[attribute] and element.get(attribute) == "ALLOW"
                new = {(attribute, absolute(one.text, node)) for one in element}
                assert len(new) == len(element) and not new & allowed[node], "it is allowed twice"
                allowed[node] |= new
    return allowed


POLICY = read_policy()
DEFAULT_ENCODERS = sorted(
    {ENCODERS.find(default(ENCODERS.find(name).modality)) for name in ENCODERS.names()}, key=lambda cls: cls.plug
)


def done_by(peer, node):
    """Return what a running node does, as `read_policy` does."""
    found = {("publish", name) for name, _ in peer.get_publisher_names_and_types_by_node(node, "/")}
    found |= {("subscribe", name) for name, _ in peer.get_subscriber_names_and_types_by_node(node, "/")}
    found |= {("reply", name) for name, _ in peer.get_service_names_and_types_by_node(node, "/")}
    assert not peer.get_client_names_and_types_by_node(node, "/")
    actions = {name.split("/_action/")[0] for _, name in found if "/_action/" in name}
    parts = {
        *(("publish", part) for part in ("feedback", "status")),
        *(("reply", part) for part in ("cancel_goal", "get_result", "send_goal")),
    }
    for action in actions:  # a server has all of these, and SROS 2 allows all of them by the action's name
        whole = {(how, f"{action}/_action/{part}") for how, part in parts}
        if whole <= found:  # else the others are not discovered yet
            found = (found - whole) | {("execute", action)}
    return found


def test_it_has_an_enclave_for_each_default_encoder_with_its_topics_and_for_the_other_nodes():
    assert set(POLICY) == {f"{cls.modality}_encoder" for cls in DEFAULT_ENCODERS} | {
        "retrieval",
        "localization",
        "grounding",
    }
    programs = {path.stem for path in Path(topology.__file__).parent.glob("*_node.py")}
    assert programs == {"encoder_node", "retrieval_node", "localization_node", "grounding_node"}, (
        "a new one needs an enclave, too"
    )
    own = {("publish", "/embeddings"), ("subscribe", "/clock")}
    for cls in DEFAULT_ENCODERS:
        topics = {f"/{cls.topic}"}
        if cls.accepts in topology.PICTURES:
            topics.add(f"/{cls.topic}/compressed")
        if cls.uses_odometry:
            topics |= {f"/{EncoderNodeConfig.odometry}", "/tf_static"}
        if cls.accepts in SEES:
            topics.add("/tf_static")
        allowed = POLICY[f"{cls.modality}_encoder"]
        assert own <= allowed and {t for how, t in allowed - own if how == "subscribe"} == topics


@pytest.mark.usefixtures("no_former_nodes")
def test_the_running_nodes_do_what_it_allows_and_nothing_else(bench, untrained_model, tmp_path):
    clock = {"use_sim_time": True}
    processes = [
        *topology.place_recognition("", ["camera", "text"], use_sim_time=True, image_transport="compressed")[:-1],
        topology.Process("encoder_node", "laser_scan_encoder", {"encoder": default("laser_scan"), **clock}),
        topology.Process("retrieval_node", "retrieval", {"cloud_topic": "lidar/points", "odometry": "odom", **clock}),
        *topology.localization(publish_tf=True, initial_pose=True, use_sim_time=True),
        *topology.object_grounding(str(untrained_model), use_sim_time=True),
    ]
    # The camera is compressed here, and the test above knows its other topic.
    expected = {p.name: POLICY[p.name] - {("subscribe", "/camera/image_raw")} for p in processes}
    expected["grounding"] = POLICY["grounding"]
    expected["retrieval"] = POLICY["retrieval"] - {("subscribe", "/tf")}  # test_frames.py needs it
    with Bringup(processes, topology.environment("loopback"), log_folder=tmp_path):
        names = lambda: set(bench.peer.get_node_names())  # noqa: E731
        bench.until(lambda: set(expected) <= names(), 30)
        for node, allowed in expected.items():
            try:
                bench.until(lambda node=node, allowed=allowed: done_by(bench.peer, node) == allowed, 10)
            except pytest.fail.Exception:
                assert done_by(bench.peer, node) == allowed, node
        enclaves = lambda: {e for n, _, e in bench.peer.get_node_names_and_namespaces_with_enclaves() if n in expected}  # noqa: E731
        bench.until(lambda: enclaves() == {process.enclave for process in processes}, 10)


def test_a_node_that_must_be_secure_and_cannot_does_not_start(tmp_path):
    """The wheels from PyPI have a Fast DDS without security, and this keystore has no keys."""
    process = topology.Process("encoder_node", "text_encoder", {"encoder": "text"})
    (tmp_path / "enclaves" / process.enclave[1:]).mkdir(parents=True)
    secure = {
        "ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce", "ROS_SECURITY_KEYSTORE": str(tmp_path)
    }  # fmt: skip
    with Bringup([process], topology.environment("loopback") | secure, log_folder=tmp_path) as system:
        system.running["text_encoder"].wait(20)
        assert system.ended() == {"text_encoder": 1}
    said = (tmp_path / "text_encoder.log").read_text()
    assert "Traceback" not in said and said.splitlines()[-1].startswith("ROS cannot make the node: "), said
