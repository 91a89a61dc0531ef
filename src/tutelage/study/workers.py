"""Train runs in worker processes, and resume interrupted ones."""

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
    """Yield a pool of ``count`` processes, which divide the machine's cores and GPUs among them.

    Each process uses one of the GPUs that this process can use, assigned in turn. The processes end with this process,
    even if it is killed.
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
    """Return the registered methods, which workers import by module and name.

    Raises:
        TutelageError: If workers cannot import one of them.
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
    """Return the context for starting processes: forkserver with tutelage preloaded if available, or else spawn."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tutelage.training"])
    return context


def visible_gpus() -> list[str]:
    """Return the value of ``CUDA_VISIBLE_DEVICES`` that selects one GPU, for each GPU of this process.

    The variable lists numbers, UUIDs or names of MIG instances; CUDA ignores everything after an invalid entry.
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
    """Stop the runs in progress; their last checkpoints are kept."""
    processes = list((pool._processes or {}).values())  # shutdown clears the attribute
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(POLL_SECONDS)
        while process.is_alive():  # it may have saved its run and started the next one from the queue
            process.terminate()
            process.join(POLL_SECONDS)


def work(
    pool: ProcessPoolExecutor,
    cells: Iterable[Cell],
    on_poll: Callable[[], None],
    on_end: Callable[[Cell, str | None], None],
    is_time_up: Callable[[], bool],
) -> None:
    """Train each cell (see :func:`train_cell`) until ``is_time_up()`` returns true; then stop the pool's processes.

    Args:
        pool: The processes.
        cells: The runs, in the order in which they start.
        on_poll: Called repeatedly while runs are in progress.
        on_end: Called with each run that ends, and its error or None.
        is_time_up: Called before runs start, and repeatedly afterwards.

    Raises:
        TutelageError: If a process died, for example because memory ran out.
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
        build_console().print("stopped; the same command resumes the remaining runs", highlight=False)
        raise
    except BrokenProcessPool:
        running = ", ".join(cell.name for cell in waiting.values() if screen_of(cell.settings).exists())
        raise TutelageError(
            f"a worker process died, perhaps out of memory, during {running}. Set fewer workers or a smaller "
            f"batch_size; the same command resumes the remaining runs"
        ) from None


def screen_of(settings: Any) -> Path:
    """Return the file for the console output of a run; it exists once the run has started."""
    folder: Path = settings.out
    return folder.with_name(f"{folder.name}.log")


def train_cell(settings: Any) -> str | None:
    """Train or resume one run, with its console output in a file next to its folder.

    An error only fails this run, and the study continues with the others. Tracebacks of unexpected errors, in tutelage
    or in the user's networks and methods, are in that file.

    Returns:
        The error, or None if the run finished.
    """
    folder: Path = settings.out
    screen = screen_of(settings)
    with _screen_in(screen):
        try:
            register_networks(settings)
            if RunFolder(folder).is_run():
                resume(folder)
            else:
                shutil.rmtree(folder, ignore_errors=True)  # left by a run that was interrupted while creating it
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
