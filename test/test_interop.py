"""What pip and what colcon built are the same messages: equal type hashes, and one reads the other's."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COLCON = ROOT / "build/colcon/install"
COLCON_VENV = ROOT / ".venv-colcon"
PIP_SHARE = Path(sys.prefix, "share/any2any_ros")
KINDS = ("msg", "srv", "action")
DEFINITIONS = [f"{kind}/{path.stem}" for kind in KINDS for path in sorted(ROOT.glob(f"{kind}/*"))]

if not COLCON.is_dir():
    pytest.skip("not built with colcon: run `make colcon`", allow_module_level=True)
if not PIP_SHARE.is_dir():
    pytest.skip("no messages in this environment: run `make test`", allow_module_level=True)


def environment() -> dict[str, str]:
    """Return an environment for another Python's ROS, on loopback."""
    # Inherited, the marker of the ROS wheels would keep that Python from finding its own libraries.
    mine = ("PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE")
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    domain = kept.get("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
    return kept | {
        "ROS_DOMAIN_ID": domain,
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(ROOT / "config/fastdds_loopback.xml"),
    }


def command(built_by: str, role: str) -> list[str]:
    peer = str(ROOT / "test/interop_peer.py")
    if built_by == "pip":
        return [sys.executable, peer, role]
    setup = shlex.quote(str(COLCON / "setup.bash"))
    path = shlex.quote(str(COLCON_VENV / "bin"))
    return ["bash", "-c", f"PATH={path}:$PATH; . {setup}; exec python3 {shlex.quote(peer)} {role}"]


def type_hash(share: Path, definition: str) -> str:
    (own, *_) = json.loads((share / f"{definition}.json").read_text())["type_hashes"]
    return own["hash_string"]


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_type_hashes_are_equal(definition: str) -> None:
    colcon_share = COLCON / "any2any_ros/share/any2any_ros"
    assert type_hash(PIP_SHARE, definition) == type_hash(colcon_share, definition)


@pytest.mark.parametrize(("sender", "receiver"), [("pip", "colcon"), ("colcon", "pip")])
def test_one_reads_what_the_other_sends(sender: str, receiver: str) -> None:
    with subprocess.Popen(command(sender, "send"), env=environment(), stdin=subprocess.PIPE) as sending:
        received = subprocess.run(
            command(receiver, "receive"), env=environment(), capture_output=True, text=True, timeout=30
        )
    assert sending.returncode == 0
    assert received.returncode == 0, received.stderr
    report = json.loads(received.stdout)
    assert report["message"] == ["lidar", "é", [0.5, -2.0], 0.25]
    assert report["hashes"] == [type_hash(PIP_SHARE, "msg/Embedding")]
    assert report["package"].startswith(str(COLCON) if receiver == "colcon" else sys.prefix)
