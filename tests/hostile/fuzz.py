"""Changes sound images, zips and npz files at random and puts them through the door by which all
files come; tells what became of them.

    python -m tests.hostile.fuzz --files 10000 --seed 0

Prints a table in Markdown and ends with 1 if anything but a sentence came back.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from pe_engine.arrays import BadArrayError, read_arrays
from tests.hostile.changing import changed
from tests.hostile.making import FORMATS, image, noisy, packed, saved
from tests.hostile.start_cases import npy, npz
from tests.hostile.trying import tried

ROUND = 250
"""Images in a folder that is read at once."""


@dataclass
class Tally:
    """What became of the files.

    Attributes:
        outcomes: by kind of file and outcome.
        reasons: of all that were skipped or refused.
        crashes: the last line of each, and its file's seed.
        peak: bytes of memory of this process and of all that decode for it, at most.
        before: the same when watching began.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    peak: int = 0
    before: int = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Looks at the memory 20 times a second."""
        over = threading.Event()
        self.before = _memory()

        def watch() -> None:
            while not over.wait(0.05):
                self.peak = max(self.peak, _memory())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _memory() -> int:
    me, total = psutil.Process(), 0
    for process in (me, *me.children()):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            total += process.memory_info().rss
    return total


# --- Files --------------------------------------------------------------------------------------


def sound_images() -> dict[str, bytes]:
    """Images of all formats and of many kinds."""
    grey = np.random.default_rng(1).integers(0, 65_536, (24, 24), dtype=np.uint16)
    small = Image.fromarray((grey >> 8).astype(np.uint8))
    frames = [Image.new("RGB", (16, 16), (level,) * 3) for level in (200, 100, 50)]
    animated = {"save_all": True, "append_images": frames[1:]}
    return {
        **{f: noisy(f, (48, 40)) for f in FORMATS},
        "PNG of 16 bits": saved(Image.fromarray(grey), "PNG"),
        "PNG with alpha": saved(small.convert("RGBA"), "PNG"),
        "PNG with palette": saved(small.quantize(16), "PNG"),
        "PNG, animated": saved(frames[0], "PNG", **animated),
        "PNG, tiny": image(),
        "JPEG, progressive": noisy("JPEG", (48, 40), progressive=True),
        "JPEG with notes": saved(small, "JPEG", exif=_notes(), comment=b"x" * 50),
        "JPEG, CMYK": saved(small.convert("CMYK"), "JPEG"),
        "WebP, lossless": saved(small, "WEBP", lossless=True),
        "WebP, animated": saved(frames[0], "WEBP", **animated),
        "GIF, animated": saved(frames[0], "GIF", **animated),
        "BMP with palette": saved(small.quantize(16), "BMP"),
        "TIFF, deflate": saved(small, "TIFF", compression="tiff_adobe_deflate"),
        "TIFF, LZW": saved(small, "TIFF", compression="tiff_lzw"),
        "TIFF of floats": saved(Image.fromarray(grey.astype(np.float32)), "TIFF"),
        "TIFF, pages": saved(frames[0], "TIFF", **animated),
    }


def _notes() -> Image.Exif:
    notes = Image.Exif()
    notes[0x0112] = 6
    return notes


def sound_zip(path: Path) -> bytes:
    files = {f"{c}/{i}.png": image(i) for c in "ab" for i in range(4)}
    return packed(path, files).read_bytes()


def changed_npz(rng: np.random.Generator) -> bytes:
    """Changed itself, or an array in it, whose checksum is then right."""
    labels = npy(np.zeros(6, np.int64))
    if rng.integers(2):
        return npz(samples=changed(npy(), rng), labels=labels)
    return changed(npz(samples=npy(), labels=labels), rng, most=1)


# --- Rounds -------------------------------------------------------------------------------------


def fuzz(files: int, seed: int, tally: Tally) -> Iterator[int]:
    """Yields how many files are done; of 10, 8 are images, one a zip and one an npz."""
    sound = sound_images()
    kinds = list(sound)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        whole_zip = sound_zip(place / "sound")
        for start in range(0, files, ROUND):
            count = min(ROUND, files - start)
            images: dict[str, tuple[str, bytes]] = {}
            for i in range(start, start + count):
                rng = np.random.default_rng((seed, i))
                if i % 10 == 8:
                    _try_zip(place / "zip", changed(whole_zip, rng, most=1), i, tally)
                elif i % 10 == 9:
                    _try_npz(place / "npz", changed_npz(rng), i, tally)
                else:
                    kind = kinds[int(rng.integers(len(kinds)))]
                    images[f"{i}.png"] = kind, changed(sound[kind], rng)
            _try_images(place / "images", images, tally)
            yield start + count


def _try_images(place: Path, images: dict[str, tuple[str, bytes]], tally: Tally) -> None:
    place.mkdir()
    for name, (_, data) in images.items():
        (place / name).write_bytes(data)
    try:
        outcome = tried(place)
    except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
        tally.crashes.append(f"one of {', '.join(images)}: {traceback.format_exc(limit=-3)}")
        outcome = None
    for name, (kind, _) in images.items():
        file_format = kind.replace(",", " ").split()[0].upper()
        if outcome is None:
            tally.outcomes[file_format, "crashed"] += 1
        else:
            _count(tally, file_format, outcome.skipped.get(name, ""))
        (place / name).unlink()
    place.rmdir()


def _count(tally: Tally, kind: str, reason: str) -> None:
    ended = "more than 10 seconds" in reason or "crashes or runs out" in reason
    memory = "needs more memory" in reason
    became = "ended by a limit" if ended or memory else "skipped" if reason else "accepted"
    tally.outcomes[kind, became] += 1
    if reason:
        tally.reasons[reason if "pixels" not in reason else "has too many pixels"] += 1


def _try_zip(path: Path, data: bytes, number: int, tally: Tally) -> None:
    path.write_bytes(data)
    try:
        outcome = tried(path)
    except Exception:  # noqa: BLE001 - as above
        tally.crashes.append(f"zip {number}: {traceback.format_exc(limit=-3)}")
        tally.outcomes["zip", "crashed"] += 1
        return
    became = "refused" if outcome.refused else "skipped" if outcome.skipped else "accepted"
    tally.outcomes["zip", became] += 1
    if outcome.refused:
        tally.reasons[outcome.refused] += 1


def _try_npz(path: Path, data: bytes, number: int, tally: Tally) -> None:
    path.write_bytes(data)
    try:
        read_arrays(path)
    except BadArrayError:
        tally.outcomes["npz", "refused"] += 1
        tally.reasons["The npz is damaged."] += 1
    except Exception:  # noqa: BLE001 - as above
        tally.crashes.append(f"npz {number}: {traceback.format_exc(limit=-3)}")
        tally.outcomes["npz", "crashed"] += 1
    else:
        tally.outcomes["npz", "accepted"] += 1


def table(tally: Tally, seconds: float) -> str:
    """The tally in Markdown."""
    columns = ("accepted", "skipped", "refused", "ended by a limit", "crashed")
    lines = ["| files | number | " + " | ".join(columns) + " |", "|" + "---|" * 7]
    kinds = sorted({kind for kind, _ in tally.outcomes})
    rows = [(kind, [tally.outcomes[kind, c] for c in columns]) for kind in kinds]
    rows.append(("all", [sum(row[i] for _, row in rows) for i in range(len(columns))]))
    for kind, row in rows:
        lines.append(f"| {kind} | {sum(row):,} | " + " | ".join(f"{n:,}" for n in row) + " |")
    lines += ["", "| what was said | times |", "|---|---|"]
    lines += [f"| {reason} | {n:,} |" for reason, n in tally.reasons.most_common()]
    machine = f"{psutil.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    lines += ["", f"{seconds:.0f} s; {tally.peak / 2**20:.0f} MiB of memory at most; {machine}."]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    tally, started = Tally(), time.monotonic()
    warnings.simplefilter("ignore")  # as Pillow warns of much that is odd
    with tally.watching():
        for done in fuzz(options.files, options.seed, tally):
            print(f"\r{done:,} of {options.files:,}", end="", file=sys.stderr)
    print(file=sys.stderr)
    print(table(tally, time.monotonic() - started))
    print(*tally.crashes, sep="\n", file=sys.stderr)
    return 1 if tally.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
