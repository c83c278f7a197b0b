"""A worker's job runs in its own thread, of low priority, and its result reaches the coroutine that waits for it."""

import os
import sys
import threading

import pytest

from any2any_ros.nodes.worker import NICENESS, Stopped, Worker


@pytest.fixture
def worker(bench):
    made = Worker(bench.peer, "test")
    yield made
    made.close()


def awaited(bench, worker, work):
    """Return the task of a coroutine that waits for the work."""

    async def wait():
        return await worker.result(work)

    return bench.peer.executor.create_task(wait)


def test_the_result_comes_when_the_work_has_ended_and_others_are_called_meanwhile(bench, worker):
    go_on, ticks = threading.Event(), []
    bench.peer.create_timer(0.01, lambda: ticks.append(1))
    task = awaited(bench, worker, lambda: go_on.wait(10) and threading.current_thread() is not threading.main_thread())
    bench.until(lambda: len(ticks) > 3)
    assert not task.done()
    go_on.set()
    bench.until(task.done)
    assert task.result() is True


def test_jobs_are_worked_off_one_after_the_other(bench, worker):
    said = []
    tasks = [awaited(bench, worker, lambda i=i: said.append(i) or i) for i in range(5)]
    bench.until(lambda: all(task.done() for task in tasks))
    assert sorted(task.result() for task in tasks) == sorted(said) == [0, 1, 2, 3, 4]


def test_what_the_work_raises_is_raised_where_it_is_awaited(bench, worker):
    task = awaited(bench, worker, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        bench.until(task.done)  # the executor raises what a task has raised


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a priority of its own")
def test_its_thread_leaves_the_processor_to_the_others(bench, worker):
    task = awaited(bench, worker, lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    bench.until(task.done)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    assert task.result() == min(before + NICENESS, 19)


def test_closing_waits_for_the_work_in_progress(bench):
    worker, ended = Worker(bench.peer, "test"), []
    begun = threading.Event()
    awaited(bench, worker, lambda: begun.set() or threading.Event().wait(0.2) or ended.append(1))
    bench.until(begun.is_set)
    worker.close()
    assert ended == [1]
    with pytest.raises(Stopped, match="taken down"):
        bench.until(awaited(bench, worker, lambda: ended.append(2)).done)
    assert ended == [1]
