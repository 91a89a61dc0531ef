from __future__ import annotations

import signal
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from harness.pool import Pool
from harness.processes import FORKED, settle
from tutelage.distillation.cache.encoding import Dense, Encoding, TopK
from tutelage.distillation.cache.records import Records
from tutelage.errors import TutelageError

ENCODINGS = [Dense((6,), "fp16"), Dense((3, 2), "fp32"), Dense((), "fp16"), TopK(9, 3, "fp16"), TopK(40_000, 1, "fp16")]
SMALL = Dense((6,), "fp16")


def targets(rows: np.ndarray, encoding: Encoding = SMALL) -> torch.Tensor:
    """Returns a target for each row, exact in 16 bits and different from those of other rows."""
    shape = encoding.shape if isinstance(encoding, Dense) else (encoding.classes,)
    places = torch.arange(int(np.prod(shape))) % 97
    return ((torch.from_numpy(rows)[:, None] * 31 + places) % 2003 - 1000).float().reshape(len(rows), *shape)


def stored(rows: np.ndarray, encoding: Encoding = SMALL) -> torch.Tensor:
    return encoding.decode(encoding.encode(targets(rows, encoding)))


def filled(folder: Path, rows: int, shard_bytes: int = 2**30) -> Records:
    records = Records(folder, rows, SMALL, shard_bytes)
    records.write(np.arange(rows), targets(np.arange(rows)))
    return records


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
@pytest.mark.parametrize("per_shard", [1, 7, 100])
def test_rows_are_read_in_any_order_across_shards(encoding: Encoding, per_shard: int, tmp_path: Path) -> None:
    shard_bytes = per_shard * (4 + encoding.record_bytes)
    order = np.random.default_rng(0).permutation(20)
    for part in np.split(order, 4):
        Records(tmp_path / "made", 20, encoding, shard_bytes).write(part, targets(part, encoding))
    records = Records(tmp_path / "made", 20, encoding, shard_bytes)
    for rows in (np.arange(20), order, np.array([19, 3, 3, 0, 19]), np.array([6, 7])):
        read = records.read(rows)
        assert read is not None
        assert torch.equal(read, stored(rows, encoding))
    names = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert names == [f"{shard:05d}.npy" for shard in range(-(-20 // per_shard))]


def test_a_batch_is_read_only_where_all_of_it_is_present(tmp_path: Path) -> None:
    records = Records(tmp_path, 30, SMALL, 10 * 16)
    rows = np.array([4, 25, 12])
    assert records.read(rows) is None
    assert not records.present(rows).any()
    assert int(records.present(np.arange(records.rows)).sum()) == 0
    assert not list(tmp_path.iterdir())
    records.write(rows[:2], targets(rows[:2]))
    assert records.read(rows) is None
    assert records.present(np.array([12, 25, 5, 4])).tolist() == [False, True, False, True]
    assert int(records.present(np.arange(records.rows)).sum()) == 2
    records.write(rows, targets(rows))
    assert int(records.present(np.arange(records.rows)).sum()) == 3
    assert records.read(rows) is not None


def test_what_is_written_again_replaces_what_was_there(tmp_path: Path) -> None:
    records, rows = filled(tmp_path, 9), np.array([3, 8])
    records.write(rows, targets(rows + 100))
    read = Records(tmp_path, 9, SMALL).read(np.array([2, 3, 8]))
    assert read is not None
    assert torch.equal(read, targets(np.array([2, 103, 108])))


def test_files_are_arrays_of_checksums_and_payloads(tmp_path: Path) -> None:
    filled(tmp_path, 9)
    array = np.load(tmp_path / "00000.npy")
    assert array["checksum"].tolist() == [zlib.crc32(values.tobytes()) for values in array["payload"]["values"]]
    assert np.array_equal(array["payload"]["values"], targets(np.arange(9)).numpy())


def test_a_checksum_is_never_that_of_absence(tmp_path: Path) -> None:
    # CRC-32 maps 4 bytes one to one: of each number there is one that gives it.
    value = np.frombuffer(b"\x9d\x0a\xd9\x6d", "<f4")
    assert zlib.crc32(value.tobytes()) == 0
    records = Records(tmp_path, 1, Dense((), "fp32"))
    records.write(np.array([0]), torch.from_numpy(value.copy()))
    read = records.read(np.array([0]))
    assert read is not None
    assert read.numpy().tobytes() == value.tobytes()


def test_a_changed_byte_makes_its_record_absent_and_no_other(tmp_path: Path) -> None:
    filled(tmp_path, 9)
    path = tmp_path / "00000.npy"
    good, start = path.read_bytes(), path.stat().st_size - 9 * 16
    others = np.array([0, 1, 2, 3, 4, 6, 7, 8])
    for byte in range(start + 5 * 16, start + 6 * 16):
        path.write_bytes(good[:byte] + bytes([good[byte] ^ 0x10]) + good[byte + 1 :])
        records = Records(tmp_path, 9, SMALL)
        assert records.read(np.array([4, 5])) is None
        assert records.read(others) is not None
    records.write(np.array([5]), targets(np.array([5])))
    assert path.read_bytes() == good


@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz` file required additional header parsing")
def test_a_changed_header_is_refused_or_says_the_same(tmp_path: Path) -> None:
    filled(tmp_path, 9)
    path = tmp_path / "00000.npy"
    good = path.read_bytes()
    refused = 0
    for bit in range(8 * (len(good) - 9 * 16)):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with warnings.catch_warnings(record=True) as caught:
            read = Records(tmp_path, 9, SMALL).read(np.arange(9))
        refused += read is None
        assert read is None or torch.equal(read, targets(np.arange(9)))
        assert (read is None) == any("recomputing the targets" in str(warning.message) for warning in caught)
    assert refused > 500


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:5]),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
        lambda path: path.write_text("targets\n"),
        lambda path: np.save(path, np.load(path)[:-1]),
        lambda path: np.save(path, np.load(path)["payload"]),
        lambda path: np.save(path, np.load(path).reshape(1, -1)),
    ],
    ids=["empty", "magic", "truncated", "longer", "zeros", "text", "fewer", "dtype", "shape"],
)
def test_a_file_that_is_no_shard_is_removed_and_made_again(damage: Callable[[Path], object], tmp_path: Path) -> None:
    filled(tmp_path, 12, 6 * 16)
    path, rows = tmp_path / "00001.npy", np.arange(6, 12)
    damage(path)
    records = Records(tmp_path, 12, SMALL, 6 * 16)
    with pytest.warns(UserWarning, match=r"recomputing the targets in .*00001\.npy, which is damaged"):
        assert records.read(np.arange(12)) is None
    assert not path.exists()
    assert records.read(np.arange(6)) is not None
    records.write(rows, targets(rows))
    assert torch.equal(filled(tmp_path, 12, 6 * 16).read(np.arange(12)), targets(np.arange(12)))


def test_records_that_were_not_written_take_up_no_disk(tmp_path: Path) -> None:
    records, rows = Records(tmp_path, 10_000_000, SMALL), np.array([0, 9_999_999])
    records.write(rows, targets(rows))
    status = (tmp_path / "00000.npy").stat()
    assert status.st_size > 150_000_000
    assert status.st_blocks * 512 < 1_000_000


def test_a_disk_too_small_is_an_error_not_a_crash(tmp_path: Path) -> None:
    records = Records(tmp_path, 2**48, SMALL, 2**60)
    with pytest.raises(TutelageError, match="needs 4294967296 MiB for targets, .* set cache.folder to another disk"):
        records.write(np.array([0]), targets(np.array([0])))
    assert not list(tmp_path.iterdir())


def test_one_thread_reads_while_another_writes(tmp_path: Path) -> None:
    records = Records(tmp_path, 6000, SMALL, 1000 * 16)
    done, later = np.arange(0, 6000, 2), np.arange(1, 6000, 2)
    records.write(done, targets(done))

    def write() -> None:
        for rows in np.split(np.random.default_rng(0).permutation(later), 100):
            records.write(rows, targets(rows))

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            read = records.read(done)
            assert read is not None
            assert torch.equal(read, targets(done))
        writing.result()
    assert torch.equal(records.read(np.arange(6000)), targets(np.arange(6000)))


def write_as_one_rank(rank: int, folder: str) -> None:
    for trial in range(20):
        records = Records(Path(folder) / str(trial), 64, SMALL, 16 * 16)
        dist.barrier()
        for rows in np.split(np.arange(rank, 64, 2), 8):
            records.write(rows, targets(rows))


def test_two_processes_that_write_at_once_lose_nothing(pool: Pool, tmp_path: Path) -> None:
    pool.run(write_as_one_rank, str(tmp_path))
    for trial in range(20):
        read = Records(tmp_path / str(trial), 64, SMALL, 16 * 16).read(np.arange(64))
        assert read is not None
        assert torch.equal(read, targets(np.arange(64)))
        assert len(list((tmp_path / str(trial)).iterdir())) == 4


KILLED_ROWS, KILLED = 8000, Dense((256,), "fp16")


def write_for_ever(folder: Path, written: Connection) -> None:
    settle()
    rows = np.random.default_rng(0).permutation(KILLED_ROWS)
    values = targets(np.arange(KILLED_ROWS), KILLED)
    records = Records(folder, KILLED_ROWS, KILLED)
    while True:
        for batch in np.split(rows, 40):
            records.write(batch, values[batch])
            written.send(batch)


def test_a_killed_writer_leaves_records_that_are_right_or_absent(tmp_path: Path) -> None:
    expected = targets(np.arange(KILLED_ROWS), KILLED)
    heard, written = FORKED.Pipe(duplex=False)
    writer = FORKED.Process(target=write_for_ever, args=(tmp_path / "s", written))
    writer.start()
    for _ in range(3):
        heard.recv()
    writer.kill()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    records = Records(tmp_path / "s", KILLED_ROWS, KILLED)
    read = {row: records.read(np.array([row])) for row in range(KILLED_ROWS)}
    right = [row for row, target in read.items() if target is not None and torch.equal(target[0], expected[row])]
    assert len(right) >= 3 * KILLED_ROWS // 40
    # At most the batch that was being written has records without the right checksum.
    assert len(right) >= int(records.present(np.arange(records.rows)).sum()) - KILLED_ROWS // 40
    assert all(read[row] is None for row in read.keys() - set(right))
