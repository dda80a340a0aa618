"""500 mutated files: each is a picture or refused with a reason, within 5 s and little memory, and the process lives on."""

import os
import queue
import struct
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

COUNT = 500
SEED = 0
SECONDS = 5.0  # a decode may take
CHILD = Path(__file__).with_name("fuzz_child.py")
REASONS = {"colour", "compression", "constant", "damaged", "depth", "empty", "frames", "not_an_image", "not_finite", "photometric"}
REASONS |= {"range", "too_large", "transfer_syntax", "transparent", "truncated", "unreadable", "window"}
EXTREMES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0, 60_000]


def flip(data: bytearray, rng: np.random.Generator) -> None:
    for at in rng.integers(len(data), size=int(rng.choice([1, 1, 3, 20]))):
        data[at] ^= 1 << int(rng.integers(8))


def flip_in_header(data: bytearray, rng: np.random.Generator) -> None:
    for at in rng.integers(min(len(data), 700), size=int(rng.choice([1, 2, 4]))):
        data[at] = int(rng.integers(256))


def overwrite(data: bytearray, rng: np.random.Generator) -> None:
    at, length = int(rng.integers(len(data))), int(rng.integers(1, 200))
    filling = rng.bytes(length) if rng.random() < 0.5 else bytes([int(rng.choice([0, 255]))]) * length
    data[at : at + length] = filling[: len(data) - at]


def cut(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(1, len(data))) :]


def duplicate(data: bytearray, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(data)))
    piece = bytes(data[start : start + int(rng.integers(1, 400))])
    at = int(rng.integers(len(data)))
    data[at:at] = piece * int(rng.choice([1, 1, 2, 50]))


def remove(data: bytearray, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(data) - 1))
    del data[start : start + int(rng.integers(1, 50))]


def extreme_length(data: bytearray, rng: np.random.Generator) -> None:
    """Lengths, counts, sizes and offsets stand mostly near the start, in 16 or 32 bit of either order."""
    for _ in range(int(rng.integers(1, 3))):
        kind = str(rng.choice(["<H", ">H", "<I", ">I"]))
        at = int(rng.integers(min(len(data), 900) if rng.random() < 0.8 else len(data)))
        if at + struct.calcsize(kind) <= len(data):
            struct.pack_into(kind, data, at, int(rng.choice(EXTREMES)) & (0xFFFF if kind[1] == "H" else 0xFFFFFFFF))


MUTATIONS = [flip, flip_in_header, overwrite, cut, duplicate, remove, extreme_length]


def mutated(specimens: dict[str, bytes], seed: int, count: int, folder: Path) -> list[Path]:
    paths = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        name = list(specimens)[number % len(specimens)]
        data = bytearray(specimens[name])
        steps = [MUTATIONS[int(rng.integers(len(MUTATIONS)))] for _ in range(int(rng.choice([1, 1, 2])))]
        for step in steps:
            step(data, rng)
        path = folder / f"{seed}-{number}-{'-'.join(step.__name__ for step in steps)}-{name}"
        path.write_bytes(data)
        paths.append(path)
    return paths


def decoded_in_a_child(paths: list[Path]) -> list[str]:
    """What became of each, as long as the child answers; a line of its own for the one at which it died or hung."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    assert child.stdin is not None
    assert child.stdout is not None
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in iter(child.stdout.readline, "")] + [lines.put("")], daemon=True).start()
    outcomes = []
    try:
        for number, path in enumerate(paths):
            child.stdin.write(f"{path}\n")
            child.stdin.flush()
            try:
                line = lines.get(timeout=SECONDS + (120 if number == 0 else 1))  # its imports come first
            except queue.Empty:
                line = "hung"
            outcomes.append(line.strip() or f"died with {child.wait(10)}")
            if not line or line == "hung":
                break
    except BrokenPipeError:
        outcomes.append(f"died with {child.wait(10)}")
    finally:
        child.kill()
        child.wait()
    return outcomes


def wrong(outcome: str) -> bool:
    seconds, _, rest = outcome.partition(" ")
    kind, _, reason = rest.partition(" ")
    fine = rest == "picture" or (kind == "refused" and reason in REASONS)
    return not fine or float(seconds) > SECONDS


@pytest.mark.skipif(sys.platform == "win32", reason="memory is limited by RLIMIT_AS")
def test_500_mutated_files_give_a_picture_or_a_reason_and_never_a_crash_or_a_hang(specimens: dict[str, bytes], tmp_path: Path) -> None:
    paths = mutated(specimens, SEED, COUNT, tmp_path)
    outcomes = decoded_in_a_child(paths)
    findings = [f"{path.name}: {outcome}" for path, outcome in zip(paths, outcomes, strict=False) if wrong(outcome)]
    assert not findings
    assert len(outcomes) == COUNT
    found = Counter(outcome.split(" ", 1)[1] for outcome in outcomes)
    assert found["picture"] > 20  # else the mutations never reach a decoder's end
    assert len(found) > 6


def test_the_child_tells_a_whole_file_from_a_broken_one(specimens: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in (("whole", specimens["png8.png"]), ("cut", specimens["png8.png"][:900])):
        (tmp_path / name).write_bytes(content)
    outcomes = decoded_in_a_child([tmp_path / "whole", tmp_path / "cut"])
    assert [outcome.split(" ", 1)[1] for outcome in outcomes] == ["picture", "refused truncated"]
