"""Pictures to start from that nobody would want to open: npz files and folders of runs."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

SOUND = np.full((6, 8, 8, 3), 100, np.uint8)


def npy(array: np.ndarray = SOUND, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def header(told: str, version: bytes = b"\1\0", length: int | None = None) -> bytes:
    """An .npy file whose header says this; its 8 * 8 * 3 * 6 bytes follow."""
    text = told.encode() + b"\n"
    size = struct.pack(
        "<H" if version == b"\1\0" else "<I", len(text) if length is None else length
    )
    return b"\x93NUMPY" + version + size + text + SOUND.tobytes()


def _told(shape: str, descr: str = "'|u1'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


class _Evil:
    def __reduce__(self):
        return Path.touch, (Path("owned"),)


def npz(method: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def _objects() -> bytes:
    return npy(np.array([_Evil()], object), allow_pickle=True)


def _flag(data: bytes) -> bytes:
    """The same zip with its members said to be encrypted."""
    changed = bytearray(data)
    for kind, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        changed[data.rindex(kind) + offset] |= 1
    return bytes(changed)


PICTURES: dict[str, Callable[[], bytes]] = {
    "an empty file": lambda: b"",
    "a text": lambda: b"hello",
    "a bare pickle": lambda: pickle.dumps(_Evil()),
    "a bare npy": npy,
    "an npz without pictures": lambda: npz(other=npy()),
    "an npz of objects": lambda: npz(samples=_objects()),
    "an npz with a pickle in place of pictures": lambda: npz(samples=pickle.dumps(_Evil())),
    "pictures whose labels are objects": lambda: npz(samples=npy(), labels=_objects()),
    "pictures whose texts are objects": lambda: npz(samples=npy(), additional_info=_objects()),
    "pictures of floating point": lambda: npz(samples=npy(SOUND.astype(float))),
    "pictures of NaN": lambda: npz(samples=npy(SOUND * np.nan)),
    "pictures of complex numbers": lambda: npz(samples=npy(SOUND * 1j)),
    "pictures of texts": lambda: npz(samples=npy(SOUND.astype(str))),
    "pictures of dates": lambda: npz(samples=npy(SOUND.astype("M8[D]"))),
    "pictures of records": lambda: npz(samples=npy(np.zeros((6, 8, 8, 3), "u1,u1"))),
    "pictures of five axes": lambda: npz(samples=npy(SOUND[None])),
    "one number": lambda: npz(samples=npy(np.uint8(3))),
    "pictures of 7 channels": lambda: npz(samples=npy(np.zeros((6, 8, 8, 7), np.uint8))),
    "no pictures": lambda: npz(samples=npy(SOUND[:0])),
    "pictures of no height": lambda: npz(samples=npy(SOUND[:, :0])),
    "a header that promises 10**18 pictures": lambda: npz(
        samples=header(_told("(10**18, 8, 8, 3)".replace("10**18", str(10**18))))
    ),
    "a header that promises 30 GB": lambda: npz(samples=header(_told("(10000, 1000, 1000, 3)"))),
    "a header that promises more than there is": lambda: npz(samples=header(_told("(7, 8, 8, 3)"))),
    "a header that promises less than there is": lambda: npz(samples=header(_told("(5, 8, 8, 3)"))),
    "a header of negative size": lambda: npz(samples=header(_told("(-6, -8, 8, 3)"))),
    "a header of a size that overflows": lambda: npz(
        samples=header(_told(f"({2**63}, {2**63}, 8, 3)"))
    ),
    "a header of items of no bytes": lambda: npz(
        samples=header(_told(f"({2**60}, 8, 8, 3)", "'|S0'"))
    ),
    "a header of items of 2 GB": lambda: npz(
        samples=header(_told("(1, 1, 1, 3)", "'|V2147483647'"))
    ),
    "a header that is code": lambda: npz(samples=header("__import__('os').system('touch owned')")),
    "a header nested 4,000 deep": lambda: npz(samples=header("(" * 4000)),
    "a header of 60,000 bytes": lambda: npz(samples=header(_told("(6, 8, 8, 3)") + " " * 60_000)),
    "a header said to be 4 GB long": lambda: npz(
        samples=header(_told("(6, 8, 8, 3)"), b"\2\0", 2**32 - 1)
    ),
    "a header of a version nobody knows": lambda: npz(
        samples=header(_told("(6, 8, 8, 3)"), b"\x09\0")
    ),
    "a header that lacks its shape": lambda: npz(samples=header("{'descr': '|u1'}")),
    "a header that is a list": lambda: npz(samples=header("[1, 2]")),
    "a header of a type that numpy refuses": lambda: npz(
        samples=header(_told("(6, 8, 8, 3)", "[('a', 'b', 'c', 'd')]"))
    ),
    "an npz cut in half": lambda: npz(samples=npy())[:700],
    "an npz that is encrypted": lambda: _flag(npz(samples=npy())),
    "an npz with a wrong checksum": lambda: npz(samples=npy()).replace(b"ddd", b"dde", 1),
    "an npz packed by bzip2": lambda: npz(zipfile.ZIP_BZIP2, samples=npy()),
    "an npz packed by lzma": lambda: npz(zipfile.ZIP_LZMA, samples=npy()),
    "an npz that unpacks to 50 MB of header": lambda: npz(
        zipfile.ZIP_DEFLATED, samples=header(" " * 50_000_000, b"\2\0")
    ),
    "labels of another number": lambda: npz(samples=npy(), labels=npy(np.zeros(5, np.int64))),
    "labels of floating point": lambda: npz(samples=npy(), labels=npy(np.zeros(6))),
    "labels of two axes": lambda: npz(samples=npy(), labels=npy(np.zeros((6, 1), np.int64))),
    "labels that are negative": lambda: npz(samples=npy(), labels=npy(np.full(6, -1))),
    "labels of 2**63": lambda: npz(samples=npy(), labels=npy(np.full(6, 2**63, np.uint64))),
    "one label": lambda: npz(samples=npy(), labels=npy(np.int64(0))),
}

ARRAYS = {
    "images": SOUND,
    "class_ids": np.zeros(6, np.int64),
    "parents": np.full(6, -1),
}


def _generation(**changed) -> Callable[[Path], None]:
    """One generation of the run is replaced by these arrays, or bytes."""

    def make(run: Path) -> None:
        held = {n: d if isinstance(d, bytes) else npy(d) for n, d in (ARRAYS | changed).items()}
        (run / "generations" / "0003.npz").write_bytes(npz(**held))

    return make


def _file(name: str, data: bytes) -> Callable[[Path], None]:
    def make(run: Path) -> None:
        (run / name).write_bytes(data)

    return make


def _json(**changed) -> Callable[[Path], None]:
    def make(run: Path) -> None:
        told = json.loads((run / "run.json").read_bytes())
        (run / "run.json").write_text(json.dumps(told | changed))

    return make


def _charge(**changed) -> list[dict]:
    sound = {"noise_multiplier": 5.0, "neighbours": 1, "generations": 3, "unit": "image"}
    return [sound | changed]


CHARGES = {
    "charges that refund votes": _charge(neighbours=-5),
    "charges that refund generations": _charge(generations=-3),
    "charges of a negative σ": _charge(noise_multiplier=-1.0),
    "charges of σ = 0": _charge(noise_multiplier=0),
    "charges of σ = NaN": _charge(noise_multiplier=float("nan")),
    "charges of σ = 1e300": _charge(noise_multiplier=1e300),
    "charges of σ = 10**400": _charge(noise_multiplier=10**400),
    "charges of a σ that is a text": _charge(noise_multiplier="5"),
    "charges of a σ that is true": _charge(noise_multiplier=True),
    "charges of no votes": _charge(neighbours=0),
    "charges of half a vote": _charge(neighbours=0.5),
    "charges of votes that are a text": _charge(neighbours="1"),
    "charges of 1e300 generations": _charge(generations=1e300),
    "charges of generations that are a text": _charge(generations="3"),
    "charges of an unknown unit": _charge(unit="town"),
    "charges of a unit that is a list": _charge(unit=[]),
    "charges of other names": _charge(evil=1),
    "charges that are numbers": [5],
    "charges that are a number": 5,
    "charges that are nothing": None,
}
BUDGETS = {
    f"σ = {sigma!r}": {"noise_multiplier": sigma, "threshold": 5.0, "epsilons": [1.0]}
    for sigma in (0, -1.0, float("nan"), 1e300, "5", None)
}
RUNS: dict[str, Callable[[Path], None]] = {
    "a generation that is a text": _file("generations/0003.npz", b"hello"),
    "a generation that is empty": _file("generations/0003.npz", b""),
    "a generation of objects": _generation(images=_objects()),
    "a generation whose state is objects": _generation(state_params=_objects()),
    "a generation whose state is said to be 30 GB": _generation(
        state_params=header(_told("(10000, 1000, 1000, 3)"))
    ),
    "a generation whose state has other rows": _generation(state_params=np.zeros(2)),
    "a generation of floating point": _generation(images=SOUND.astype(float)),
    "a generation of classes that there are not": _generation(class_ids=np.full(6, 9)),
    "a generation of negative classes": _generation(class_ids=np.full(6, -1)),
    "a generation of classes that are no numbers": _generation(class_ids=np.zeros(6)),
    "a generation of parents that are no numbers": _generation(parents=np.zeros(6)),
    "a generation without images": _generation(images=SOUND[:0]),
    "a run.json that is empty": _file("run.json", b""),
    "a run.json that is a number": _file("run.json", b"5"),
    "a run.json that is a list": _file("run.json", b"[]"),
    "a run.json that is not UTF-8": _file("run.json", b"\xff\xfe"),
    "a run.json nested 100,000 deep": _file("run.json", b"[" * 100_000),
    "a run.json of a number of 10,000 digits": _file("run.json", b"1" * 10_000),
    "a run.json without settings": _json(config=None),
    "a run.json with settings that are a list": _json(config="[]"),
    "a run.json with settings that are a number": _json(config="5"),
    "a run.json with settings of an unknown name": _json(config='{"evil": 1}'),
    "a run.json with settings that lack a name": _json(config="{}"),
    "a run.json with a budget that is a text": _json(budget="all"),
    "a run.json with a budget of other names": _json(budget={"epsilons": 3}),
    **{f"a run.json with {what}": _json(inherited=told) for what, told in CHARGES.items()},
    **{f"a run.json with its own {what}": _json(budget=told) for what, told in BUDGETS.items()},
    "a run.json with an id that is a list": _json(run_id=[]),
    "a run.json with a start that is a text": _json(start_is_known="no"),
    "a run.json with classes that are a number": _json(class_names=5),
    "a run.json with names nobody knows": _json(evil=1),
}

SETTINGS = {
    "nothing": "",
    "a number": "5",
    "a list": "[1]",
    "null": "null",
    "a text": '"x"',
    "an empty object": "{}",
    "an unknown name": '{"evil": 1}',
    "half an object": '{"dataset_name": ',
    "a budget of NaN": '{"dataset_name": "x", "epsilon": NaN}',
    "a budget of infinity": '{"dataset_name": "x", "epsilon": Infinity}',
    "a negative budget": '{"dataset_name": "x", "epsilon": -1}',
    "a budget that is a text": '{"dataset_name": "x", "epsilon": "8"}',
    "a budget that is true": '{"dataset_name": "x", "epsilon": true}',
    "iterations that are a list": '{"dataset_name": "x", "iterations": [1]}',
    "10**400 iterations": '{"dataset_name": "x", "iterations": 1' + "0" * 400 + "}",
    "a number of 10,000 digits": '{"dataset_name": "x", "iterations": ' + "1" * 10_000 + "}",
    "samples that are no list": '{"dataset_name": "x", "num_samples": 5}',
    "samples that are texts": '{"dataset_name": "x", "num_samples": ["a"]}',
    "a generator that is a module": '{"dataset_name": "x", "generator": "os:system"}',
    "prompts that are a number": '{"dataset_name": "x", "prompts": 5}',
    "a name that is a list": '{"dataset_name": ["x"]}',
    "an object nested 100,000 deep": '{"dataset_name": ' + "[" * 100_000,
}
