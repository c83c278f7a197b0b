"""A retrieval node that is killed while it saves its map leaves the old map or the new one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose, Quaternion
from killing import names

from any2any_ros import srv
from any2any_ros.nodes import messages
from any2any_ros.observation import Embedding
from any2any_ros.retrieval import reference_map

ROOT = Path(__file__).parents[2]
NS = 1_000_000_000
NODE = """
import os, signal, sys
from pathlib import Path
from stepping import at_steps
from any2any_ros.nodes import retrieval_node
folder, step = Path(sys.argv.pop(1)), int(sys.argv.pop(1))

def count():
    global step
    if folder.with_name("armed").exists():
        step -= 1
        if step == 0:
            os.kill(os.getpid(), signal.SIGKILL)

at_steps(folder, count)
sys.exit(retrieval_node.main())
"""


@pytest.mark.parametrize(("step", "places"), [(8, 20), (17, 21)])  # amid the places; when the header is in place
def test_a_node_is_killed_while_it_saves(bench, small_map, step, places):
    folder, reference = small_map
    ours = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "test" / "helpers"), *sys.path])}
    command = [sys.executable, "-c", NODE, str(folder), str(step), "--ros-args", "-p", f"map:={folder}"]
    with subprocess.Popen(command, env=ours) as process:
        try:
            given = messages.embedding_message(Embedding("camera", np.full(8, 0.5, dtype=np.float32), NS), 0.0)
            pose = Pose(position=Point(x=1.0, y=2.0), orientation=Quaternion(w=1.0))
            added = bench.call(srv.AddPlace, "/retrieval/add_place", id="kitchen", pose=pose, embeddings=[given])
            assert added.error_code == added.OK
            folder.with_name("armed").touch()
            client = bench.peer.create_client(srv.SaveMap, "/retrieval/save_map")
            bench.until(client.service_is_ready)
            client.call_async(srv.SaveMap.Request())
            bench.until(lambda: process.poll() is not None)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    assert len(reference_map.load(folder)) == places
    reference_map.save(reference, folder)
    assert len(names(folder)) == 2
