"""Runs trained in processes of their own, one or several at a time; each continues where an earlier one was cut."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch

from tutelage.config import register_networks
from tutelage.console import build_console
from tutelage.errors import TutelageError
from tutelage.methods import METHODS, Method
from tutelage.runs import RunFolder
from tutelage.study.grid import Cell
from tutelage.training import resume, run

POLL_SECONDS = 0.5


@contextlib.contextmanager
def start_workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Yields ``count`` processes that share the machine's cores, or have a GPU each, in turn.

    The GPUs are those that ``CUDA_VISIBLE_DEVICES`` lets this process use.

    They end with the process that started them, however it ends.
    """
    context = _context()
    gpus, places = visible_gpus(), context.Queue()
    for place in range(count):
        places.put(gpus[place % len(gpus)] if gpus else None)
    threads = max(1, torch.get_num_threads() // count)
    pool = ProcessPoolExecutor(count, context, _settle, (places, threads, _registered_methods()))
    try:
        yield pool
    except BaseException:
        _stop(pool)
        raise
    finally:
        pool.shutdown()


def _registered_methods() -> dict[str, type[Method]]:
    """Return the registered methods, which a worker imports by module and name.

    Raises:
        TutelageError: if a worker could not import one of them.
    """
    methods = {name: METHODS[name] for name in METHODS}
    script = hasattr(sys.modules["__main__"], "__file__")  # not in a notebook
    for name, method in methods.items():
        if "<locals>" in method.__qualname__ or (method.__module__ == "__main__" and not script):
            raise TutelageError(
                f"method '{name}': {method.__qualname__} of {method.__module__} cannot be imported by a study's worker "
                f"processes; define it at the top level of a module"
            )
    return methods


def _context() -> Any:
    """Processes that are forked from one which has imported everything and started no thread, where there is such."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tutelage.training"])
    return context


def visible_gpus() -> list[str]:
    """Return what ``CUDA_VISIBLE_DEVICES`` must be for a process to use one GPU, for each GPU of this process.

    The variable lists numbers, UUIDs or names of MIG instances, and CUDA ignores what follows an invalid one.
    """
    count, listed = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    return [name.strip() for name in listed.split(",")][:count] if listed else [str(index) for index in range(count)]


def _settle(places: Any, threads: int, methods: Mapping[str, type[Method]]) -> None:
    for name, method in methods.items():
        METHODS.register(name)(method)
    torch.set_num_threads(threads)
    gpu = places.get()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the runs under way; the last checkpoint of each stays."""
    processes = list((pool._processes or {}).values())  # shutting down forgets them
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(POLL_SECONDS)
        while process.is_alive():  # it saved its run and took the next one from the queue
            process.terminate()
            process.join(POLL_SECONDS)


def work(
    pool: ProcessPoolExecutor,
    cells: Iterable[Cell],
    on_poll: Callable[[], None],
    on_end: Callable[[Cell, str | None], None],
    is_time_up: Callable[[], bool],
) -> None:
    """Train each cell (see :func:`train_cell`), until ``is_time_up()``; then end the processes of the pool.

    Args:
        pool: the processes.
        cells: the runs, in the order in which they start.
        on_poll: called again and again while runs are under way.
        on_end: called with each run that ends, and its error, if any.
        is_time_up: asked before runs start, and again and again.

    Raises:
        TutelageError: if a process died, for example because memory ran out.
    """
    if is_time_up():
        return
    waiting: dict[Future[str | None], Cell] = {pool.submit(train_cell, cell.settings): cell for cell in cells}
    try:
        while waiting:
            done, _ = wait(waiting, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                on_end(waiting[future], future.result())
                del waiting[future]
            on_poll()
            if waiting and is_time_up():
                _stop(pool)
                return
    except KeyboardInterrupt:
        build_console().print("stopped; the same command goes on with what is left", highlight=False)
        raise
    except BrokenProcessPool:
        running = ", ".join(cell.name for cell in waiting.values() if screen_of(cell.settings).exists())
        raise TutelageError(
            f"a process died (was memory short?) while these ran: {running}. Give fewer workers or a smaller "
            f"batch_size; the same command goes on with what is left"
        ) from None


def screen_of(settings: Any) -> Path:
    """Where a run's screen is kept; it exists from the run's start on."""
    folder: Path = settings.out
    return folder.with_name(f"{folder.name}.log")


def train_cell(settings: Any) -> str | None:
    """Train one run, or resume it, with its screen in a file beside its folder; return why it failed, or None.

    Any error fails this run alone: the study continues with the others. The traceback of an error that is a bug, in
    tutelage or in a network or method of the user, is in that file.
    """
    folder: Path = settings.out
    screen = screen_of(settings)
    with _screen_in(screen):
        try:
            register_networks(settings)
            if RunFolder(folder).is_run():
                resume(folder)
            else:
                shutil.rmtree(folder, ignore_errors=True)  # a run that was cut while it made its folder
                run(settings)
        except TutelageError as error:
            return str(error)
        except Exception as error:
            traceback.print_exc()
            return f"{type(error).__name__}: {error}. The traceback is in {screen}"
    return None


@contextlib.contextmanager
def _screen_in(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        yield
