"""The avatar simulator: its prior, its variations, its pictures, the processes that draw."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import psutil
import pytest

from pe_engine.components import checked_options
from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators.avatar import Avatar
from pe_engine.generators.avatar_drawing import CHOICES
from pe_engine.generators.processes import CHUNK, Processes
from tests.generators.runs import evolved

COLUMN = {name: i for i, name in enumerate(CHOICES)}
MANY = 2 * CHUNK


def faces(count, seed=0, **options):
    generator = Avatar(32, "cpu", **options)
    return generator, generator.random([""] * count, [""] * count, np.random.default_rng(seed))


def plain(**changed):
    """The parameters of an ordinary face, with some choices made by name."""
    names = {
        "style": "CIRCLE",
        "background_color": "DEFAULT",
        "top": "SHORT_FLAT",
        "skin_color": "LIGHT",
        "clothing": "GRAPHIC_SHIRT",
        **changed,
    }
    row = np.zeros((1, len(CHOICES)), np.int64)
    for name, wanted in names.items():
        row[0, COLUMN[name]] = [choice.name for choice in CHOICES[name]].index(wanted)
    return {"params": row}


def test_faces_are_drawn_from_the_librarys_prior():
    _, state = faces(20_000)
    params = state["params"]
    assert params.dtype == np.int64
    for name, choices in CHOICES.items():
        counts = np.bincount(params[:, COLUMN[name]], minlength=len(choices)) / len(params)
        expected = np.full(len(choices), 1 / len(choices))
        if name in ("facial_hair", "accessory"):
            expected /= 2
            expected[[choice.name for choice in choices].index("NONE")] += 0.5
        np.testing.assert_allclose(counts, expected, atol=5 * (0.25 / len(params)) ** 0.5)


@pytest.mark.parametrize("degree", [0.0, 0.3, 1.0])
def test_each_choice_is_drawn_anew_with_the_degrees_probability(degree):
    generator, state = faces(20_000)
    children = generator.vary(state, degree, np.random.default_rng(1))["params"]
    changed = (children != state["params"]).mean(axis=0)
    for name, choices in CHOICES.items():
        chances = np.full(len(choices), 1 / len(choices))
        if name in ("facial_hair", "accessory"):
            chances = chances / 2 + 0.5 * (np.arange(len(choices)) == 0)
        expected = degree * (1 - (chances**2).sum())  # another value than before
        assert changed[COLUMN[name]] == pytest.approx(expected, abs=0.02)


def test_a_face_does_not_depend_on_the_others_of_its_batch():
    generator, state = faces(50)
    _, fewer = faces(20)
    np.testing.assert_array_equal(fewer["params"], state["params"][:20])
    children = generator.vary(state, 0.5, np.random.default_rng(2))["params"]
    alone = generator.vary({"params": state["params"][:1]}, 0.5, np.random.default_rng(2))["params"]
    np.testing.assert_array_equal(alone, children[:1])


def test_the_style_is_kept_where_one_is_asked_for():
    for style in ("circle", "transparent"):
        generator, state = faces(200, style=style)
        children = generator.vary(state, 1.0, np.random.default_rng(1))
        for made in (state, children):
            chosen = {CHOICES["style"][i].name for i in made["params"][:, COLUMN["style"]]}
            assert chosen == {style.upper()}


def test_the_picture_shows_what_was_chosen():
    generator = Avatar(64, "cpu")
    skin = (0xED, 0xB9, 0x8A)
    face = generator.render(plain())[0]
    assert tuple(face[40, 20]) == skin  # a cheek
    assert tuple(face[20, 2]) == (0x65, 0xC9, 0xFF)  # the circle behind
    assert tuple(face[0, 0]) == (255, 255, 255)  # beyond it
    assert tuple(Avatar(64, "cpu", background="black").render(plain())[0][0, 0]) == (0, 0, 0)
    nothing_behind = generator.render(plain(style="TRANSPARENT"))[0]
    assert tuple(nothing_behind[20, 2]) == (255, 255, 255)
    dark = generator.render(plain(skin_color="BLACK"))[0]
    assert tuple(dark[40, 20]) == (0x61, 0x43, 0x35)
    whole = Avatar(64, "cpu", crop="whole").render(plain())[0]
    assert tuple(whole[0, 32]) == (255, 255, 255)  # above the circle, which the crop cuts
    assert tuple(whole[33, 26]) == skin


def test_every_choice_of_every_part_shows():
    generator = Avatar(64, "cpu", crop="whole", processes=1)
    for name, choices in CHOICES.items():
        rows = np.repeat(
            plain(top="HIJAB" if name == "hat_color" else "BOB")["params"], len(choices), 0
        )
        rows[:, COLUMN["facial_hair"]] = 1 if name == "facial_hair_color" else 0
        rows[:, COLUMN[name]] = np.arange(len(choices))
        images = generator.render({"params": rows})
        assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(choices), name


def test_pictures_are_the_same_whichever_process_draws_them():
    here, state = faces(MANY + 5, processes=1)
    there = Avatar(32, "cpu", processes=2)
    there._draw._count = 2  # even where there is one processor
    drawn = []
    worker = threading.Thread(target=lambda: drawn.append(there.render(state)))
    worker.start()
    worker.join()
    there.close()
    np.testing.assert_array_equal(drawn[0], here.render(state))
    np.testing.assert_array_equal(here.render({"params": state["params"][3:4]}), drawn[0][3:4])


def test_no_more_processes_than_processors(monkeypatch):
    monkeypatch.setattr("pe_engine.generators.avatar.processors", lambda: 3)
    assert Avatar(32, "cpu")._draw._count == 3
    assert Avatar(32, "cpu", processes=64)._draw._count == 3
    assert Avatar(32, "cpu", processes=2)._draw._count == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [({"style": "square"}, "must be one of"), ({"processes": 0}, "must lie from 1 to 256")],
)
def test_options_out_of_range_are_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        checked_options("avatar", given)


# Processes ----------------------------------------------------------------------------------------


def double(rows):
    return rows * 2


def number_of_process(rows):
    return np.full(len(rows), os.getpid())


def die(rows):
    os.kill(os.getpid(), signal.SIGKILL)


def gone(pids, seconds=20):
    """Whether these processes end, or are at most waiting for somebody to ask how they ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
        if all(process.status() == psutil.STATUS_ZOMBIE for process in left):
            return True
        time.sleep(0.05)
    return False


def test_as_many_processes_as_windows_can_wait_for(monkeypatch):
    assert Processes(double, 200)._count == 200
    monkeypatch.setattr(sys, "platform", "win32")
    assert Processes(double, 2)._count == 2
    ProcessPoolExecutor(Processes(double, 200)._count).shutdown()  # refuses more
    with pytest.raises(ValueError, match="max_workers"):
        ProcessPoolExecutor(Processes(double, 200)._count + 1)


def test_little_work_starts_no_process():
    here = Processes(number_of_process, 2)
    assert set(here(np.arange(MANY - 1))) == {os.getpid()}
    assert here._pool is None


def test_processes_stay_for_the_next_call_and_are_replaced_when_they_die():
    pool = Processes(number_of_process, 2)
    pids = set(pool(np.arange(MANY)))
    assert os.getpid() not in pids
    assert set(pool(np.arange(MANY))) & pids
    for pid in pool._pool._processes:
        os.kill(pid, signal.SIGKILL)
    replaced = set(pool(np.arange(MANY)))
    assert not replaced & pids
    workers = list(pool._pool._processes)
    pool.close()
    assert gone(workers)


def test_processes_end_with_the_object():
    pool = Processes(double, 2)
    np.testing.assert_array_equal(pool(np.arange(MANY)), 2 * np.arange(MANY))
    workers = list(pool._pool._processes)
    del pool
    assert gone(workers)


def test_work_that_always_ends_its_process_is_an_error():
    with pytest.raises(GeneratorError, match="processes to 1"):
        Processes(die, 2)(np.arange(MANY))


PARENT = """
import sys, time
import numpy as np
from pe_engine.generators.avatar import Avatar

if __name__ == "__main__":
    generator = Avatar(32, "cpu")
    generator._draw._count = 2
    some = [""] * 64
    generator.render(generator.random(some, some, np.random.default_rng(0)))
    print(*generator._draw._pool._processes, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_a_killed_parent(tmp_path, signal_):
    (tmp_path / "parent.py").write_text(PARENT)
    started = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with started:
        workers = [int(pid) for pid in started.stdout.readline().split()]
        family = [child.pid for child in psutil.Process(started.pid).children(recursive=True)]
        started.send_signal(signal_)
    assert workers
    assert gone({*workers, *family})


def test_a_run_ends_in_a_verified_zip(tmp_path, config, digits, ledger):
    settings = replace(config, generator="avatar", image_size=32, num_samples=(60,))
    run = evolved(tmp_path / "out", settings, digits, ledger)
    assert len(run.population(3)) == 60
    assert "params" in run.population(3).state
