"""The criteria of the fault campaign, and the page and the file that tell of them."""

import json

import pytest

from benchmarks.soak import __main__ as program
from benchmarks.soak import judge
from benchmarks.soak.campaign import LAST, Played
from benchmarks.soak.kinds import CYCLE, SENSORS, SYSTEM
from benchmarks.soak.ledger import Answer, Ledger, Moment
from benchmarks.soak.robot import Call
from benchmarks.soak.said import Line, Said
from benchmarks.soak.schedule import Chapter, Fault
from benchmarks.soak.stack import Ended
from benchmarks.soak.table import Command
from benchmarks.soak.truth import KILLED, STARVED

BEGAN, SECONDS, MB = 1000.0, 40.0, 10**6
SILENT = Fault("sensor_silent", 10.0, 16.0, "camera")
ALL = frozenset(SENSORS)


def played(faults=(SILENT,), named=True, skip=(), excuse="", lacking=()):
    """Return a chapter of 40 s with a ranking for every moment, but at the seconds `skip`."""
    ledger, said = Ledger(), Said()
    for i in range(round(SECONDS / CYCLE)):
        at = BEGAN + i * CYCLE
        ledger.send(Moment(at, i * 10**8, ALL, ALL, excuse))
        if round(i * CYCLE, 1) not in skip:
            ledger.answer(Answer(at + 0.02, {m: i * 10**8 for m in SENSORS if m not in lacking}))
    for second in range(int(SECONDS)):
        stale = named and SILENT.start + 3 <= second < SILENT.end + 1
        said.hear(BEGAN + second, "retrieval: camera", Line(1, "stale") if stale else Line(0, "alive"))
    moved = tuple(Fault(f.kind, BEGAN + f.start, BEGAN + f.end, f.sensor) for f in faults)
    chapter = Chapter(SYSTEM, SECONDS, tuple(faults))
    return Played(chapter, BEGAN, BEGAN + SECONDS + LAST, moved, ledger, said, memory())


def memory(growth=0.0, process=7):
    """Return the memory of a process every two seconds, which jumps at the beginning and then grows evenly."""
    rss = [int((80 if i < 4 else 100 * (1 + growth * i / 20)) * MB) for i in range(20)]
    return {"retrieval": [(BEGAN + 2 * i, process, 50 * MB, value) for i, value in enumerate(rss)]}


def failed(*chapters):
    """Return the criteria that did not hold, with their first failure."""
    return {c.what.split(" ")[0]: c.failures[0] for c in judge.judge(chapters) if not c.held}


def test_a_good_run_holds_every_criterion():
    criteria = judge.judge([played()])
    assert len(criteria) == 9 and all(criterion.held for criterion in criteria)
    assert "0 of 400" in criteria[1].measured


def test_a_skipped_ranking_fails_with_its_time_and_the_faults_of_that_moment():
    assert failed(played(skip=[14.0])) == {"rankings": "system clock, 14.0 s: no ranking (sensor_silent camera)"}


def test_what_is_skipped_while_starved_is_counted_apart():
    chapter = played(skip=[i / 10 for i in range(40)], excuse=STARVED)
    assert not failed(chapter)
    chapter = played(skip=[i / 10 for i in range(41)], excuse=STARVED)
    assert failed(chapter) == {"rankings": "41 of 400 rankings"}


def test_a_ranking_without_a_living_sensor_fails():
    assert failed(played(lacking=["lidar"]))["rankings"] == "system clock, 0.0 s: without lidar (no fault)"


def test_a_process_that_ended_by_itself_fails_and_a_killed_one_does_not():
    chapter = played()
    chapter.processes = [Ended(BEGAN + 5, "lidar_encoder", -9, True)]
    assert not failed(chapter)
    chapter.processes += [Ended(BEGAN + 6, "retrieval", -6, False)]
    assert failed(chapter) == {"processes": "system clock, 6.0 s: retrieval ended with -6"}
    chapter.processes, chapter.findings = [], ["retrieval.log: Traceback (most recent call last):"]
    assert failed(chapter) == {"processes": "retrieval.log: Traceback (most recent call last):"}


@pytest.mark.parametrize(("back", "held"), [(2.9, True), (3.1, False)])
def test_a_killed_retrieval_node_has_three_seconds(back, held):
    kill = Fault("retrieval_killed", 20.0, 26.0)
    gone = [i / 10 for i in range(200, round(10 * (20.0 + back)))]
    chapter = played((kill,), skip=gone)
    (criterion,) = (c for c in judge.judge([chapter]) if c.what.startswith("a killed"))
    assert criterion.held is held and f"{back + 0.02:.2f} s at most, 1 kills" in criterion.measured


def test_a_fault_that_is_not_named_fails():
    assert failed(played(named=False)) == {"faults": "system clock, 10.0 s: sensor_silent camera: not named"}


def test_a_fault_that_is_named_too_late_or_for_too_long_fails():
    late, long, other = played(), played(), played((SILENT, Fault("encoder_frozen", 20.0, 26.0, "camera")))
    for chapter, start, end in ((late, 15.5, 17), (long, 12, 39), (other, 12, 33)):
        chapter.said = Said()
        for second in range(80):
            line = Line(1, "stale") if start <= second / 2 < end else Line(0, "alive")
            chapter.said.hear(BEGAN + second / 2, "retrieval: camera", line)
    assert failed(late)["faults"].endswith("named after 5.5 s")
    assert failed(long)["faults"].endswith("still named 10 s after its end")
    assert not failed(other)  # the other fault has the same name, so that the end of the first one is unknown


def test_memory_may_grow_by_five_percent_after_the_warm_up():
    chapter = played()
    chapter.memory = memory(growth=0.05)
    assert not failed(chapter)
    chapter.memory = memory(growth=0.16)
    assert failed(chapter)["growth"].startswith("system clock: retrieval: +")
    chapter.memory = {"retrieval": memory()["retrieval"][:8]}  # it lived for 14 s
    assert judge.lives(chapter) == []


def test_each_process_of_a_node_is_judged_by_itself():
    chapter, second = played(), [(at + 40, 8, pss, 2 * rss) for at, _, pss, rss in memory()["retrieval"]]
    chapter.memory["retrieval"] += second
    assert [life.process for life in judge.lives(chapter)] == [7, 8] and not failed(chapter)


def test_a_service_must_answer_as_it_must():
    chapter = played()
    chapter.calls = [
        Call(BEGAN, "load_map", "maps/good", "done", 0, 0.1),
        Call(BEGAN, "load_map", "maps/bad", "refused", 1, 0.1),
        Call(BEGAN, "load_map", "maps/odd", "any", 0, 0.1),
        Call(BEGAN + SECONDS, "save_map", "maps/good", "done"),  # the run ended before the answer
    ]
    assert not failed(chapter)
    chapter.calls = [Call(BEGAN + 1, "load_map", "maps/bad", "refused", 0, 0.1)]
    assert failed(chapter) == {"services": "system clock, 1.0 s: load_map bad: refused wanted, code 0 after 0.1 s"}
    chapter.calls = [Call(BEGAN + 1, "load_map", "maps/good", "done")]
    assert failed(chapter)["services"].endswith("done wanted, no answer")


def test_a_command_must_be_answered_unless_the_node_was_killed():
    chapter = played()
    chapter.commands = [Command(BEGAN + 1, "", 0.1), Command(BEGAN + 3, KILLED), Command(BEGAN + SECONDS, "")]
    assert not failed(chapter)
    chapter.commands = [Command(BEGAN + 1, "", 2.5)]
    assert failed(chapter) == {"commands": "system clock, 1.0 s: no answer (no fault)"}
    chapter.commands = [Command(BEGAN + 1, STARVED, 0.1)] * 9 + [Command(BEGAN + 3, STARVED)] * 2
    assert failed(chapter) == {"commands": "2 of 11 while all cores are starved"}


@pytest.fixture
def options(tmp_path):
    return program.arguments(["--minutes", "2", "--out", str(tmp_path)])


def test_the_exit_code_says_whether_every_criterion_held(options, capsys):
    assert program.report([played()], options) == 0
    assert "FAILED" not in capsys.readouterr().out
    assert json.loads((options.out / "results.json").read_text())["held"] is True


def test_a_run_that_failed_says_why_in_a_line_on_the_page_and_in_the_file(options, capsys):
    assert program.report([played(), played(skip=[14.0])], options) == 1
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILED"))
    assert line.startswith("FAILED rankings skipped: 1 of 800")
    text, found = (options.out / "report.html").read_text(), json.loads((options.out / "results.json").read_text())
    assert "<svg" in text and "sensor silent" in text and "src=" not in text and "<link" not in text
    assert found["held"] is False and found["kinds"][0]["kind"] == "sensor_silent" and found["kinds"][0]["after"] == 3.0
    assert found["faults"][0]["line"] == "retrieval: camera" and len(found["criteria"]) == 9
    assert {row["when"] for row in found["rankings"]} == {"calm", "faults"}


def test_an_interrupted_run_is_reported_and_says_so(options):
    chapter = played()
    chapter.ended, chapter.left = BEGAN + 12.0, "interrupted"
    assert program.report([chapter], options) == 130
    found = json.loads((options.out / "results.json").read_text())
    assert (found["left"], found["seconds"]) == ("interrupted", 12.0)
    assert "interrupted after 12.0 s" in (options.out / "report.html").read_text()


def test_the_program_says_what_is_wrong_with_its_arguments(capsys):
    assert program.main(["--minutes", "0.5"]) == 2
    assert "too short" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        program.main(["--only", "an_earthquake"])
    assert "sensor_silent" in capsys.readouterr().err
