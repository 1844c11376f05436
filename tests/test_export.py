from __future__ import annotations

import hashlib
import html
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pe_engine import boundary, manifest, statement
from pe_engine.boundary import GenerationRecord, Outgoing, outgoing
from pe_engine.config import RunConfig
from pe_engine.export import export_run
from pe_engine.population import Population

SECRET_DATASET = "ward-seven-biopsies"
SECRET_CLASSES = ("melanoma-jd", "naevus-kl")


def population(n: int = 12, classes: int = 2, size: int = 8) -> Population:
    """Classes in turn (0, 1, 0, 1, ...), each image recognisable."""
    images = np.random.default_rng(1).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return Population(images, np.arange(n) % classes, np.full(n, -1))


def records(iterations: int = 2, sheet_size: tuple[int, int] = (20, 30)) -> list[GenerationRecord]:
    rng = np.random.default_rng(2)
    sheet = rng.integers(0, 256, (*sheet_size, 3), dtype=np.uint8)
    later = [
        GenerationRecord(g, sheet, rng.integers(-9, 30, 12), 5.0, 0.4 * g)
        for g in range(1, iterations + 1)
    ]
    return [GenerationRecord(0, sheet, None, None, 0.0), *later]


def config(**changes) -> RunConfig:
    values = {"dataset_name": SECRET_DATASET, "iterations": 2, "num_samples": (12,)}
    return RunConfig(**{**values, "prompts": ("a mole",), "epsilon_cap": 9.875, **changes})


def finished(**changes) -> Outgoing:
    values = {
        "config": config(),
        "class_names": SECRET_CLASSES,
        "public_names": False,
        "population": population(),
        "records": records(),
        "noise_multiplier": 5.0,
        "committed": 2,
        **changes,
    }
    spent = values["records"][-1].epsilon_spent
    return outgoing(**{"epsilon_planned": spent, **values})


def export(folder: Path, **changes) -> list[tuple[int, int]]:
    folder.mkdir(exist_ok=True)
    return list(export_run(folder, finished(**changes)))


def members(folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(folder / "synthetic.zip") as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def manifest_of(folder: Path) -> dict:
    return json.loads(members(folder)["manifest.json"])


def everything(folder: Path) -> bytes:
    """All bytes of the release: names, contents, what is compressed within, beside the zip."""
    parts = []
    for name, content in members(folder).items():
        parts += [name.encode(), content]
    with zipfile.ZipFile(folder / "samples.npz") as archive:
        parts += [archive.read(name) for name in archive.namelist()]
    parts += [path.name.encode() + path.read_bytes() for path in folder.iterdir()]
    return b"\n".join(parts)


def holds(content: bytes, text: str) -> bool:
    """In UTF-8, or as NumPy keeps unicode."""
    return text.encode() in content or text.encode("utf-32-le") in content


# What is written --------------------------------------------------------------------------------


def test_the_folder_holds_the_release_and_nothing_else(tmp_path):
    export(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"samples.npz", "report.html", "manifest.json", "synthetic.zip"}
    for name in names - {"synthetic.zip"}:
        assert members(tmp_path)[name] == (tmp_path / name).read_bytes()


def test_progress_counts_every_piece_and_ends_with_the_zip(tmp_path):
    run = export_run(tmp_path, finished(population=population(n=700)))
    seen = []
    for done, total in run:
        seen.append(done)
        assert (tmp_path / "synthetic.zip").exists() == (done == total)
    assert seen == list(range(1, total + 1))
    assert total >= 6


def test_a_stopped_export_leaves_no_zip_and_no_half_file(tmp_path):
    run = export_run(tmp_path, finished(population=population(n=700)))
    for _ in range(6):
        next(run)
    run.close()
    assert {path.name for path in tmp_path.iterdir()} == {"samples.npz", "report.html"}


def test_samples_are_in_class_blocks_that_keep_their_order(tmp_path):
    given = population()
    export(tmp_path, population=given)
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as file:
        samples, labels, classes = file["samples"], file["labels"], file["classes"]
    assert samples.dtype == np.uint8 and labels.dtype == np.int64 and classes.dtype.kind == "U"
    assert labels.tolist() == [0] * 6 + [1] * 6
    np.testing.assert_array_equal(samples[:6], given.images[0::2])
    np.testing.assert_array_equal(samples[6:], given.images[1::2])
    assert classes.tolist() == ["0", "1"]


def test_every_png_is_its_row_of_the_samples(tmp_path):
    export(tmp_path)
    content = members(tmp_path)
    with np.load(tmp_path / "samples.npz") as file:
        samples, labels = file["samples"], file["labels"]
    images = sorted(name for name in content if name.endswith(".png"))
    assert images == [f"images/{labels[i]}/{i:06d}.png" for i in range(12)]
    for i, name in enumerate(images):
        image = Image.open(io.BytesIO(content[name]))
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), samples[i])


def test_a_set_of_grey_images_is_stored_in_grey_and_a_mixed_one_in_colour(tmp_path):
    images = np.repeat(np.arange(12, dtype=np.uint8), 64).reshape(12, 8, 8, 1) * [1, 1, 1]
    for mode in ("L", "RGB"):
        images = images.astype(np.uint8)
        export(tmp_path / mode, population=Population(images, np.arange(12) // 6, np.full(12, -1)))
        content = members(tmp_path / mode)
        shown = [Image.open(io.BytesIO(content[n])) for n in content if n.endswith(".png")]
        assert {image.mode for image in shown} == {mode}
        images = images * [1, 1, 0]


def test_grey_images_that_share_one_channel_become_true_rgb(tmp_path):
    grey = np.random.default_rng(3).integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    shared = np.broadcast_to(grey, (12, 8, 8, 3))
    for name, images in {"shared": shared, "own": shared.copy()}.items():
        for order, ids in {"mixed": np.arange(12) % 2, "sorted": np.arange(12) // 6}.items():
            given = Population(images, ids, np.full(12, -1))
            export(tmp_path / f"{name}-{order}", population=given)
    for order in ("mixed", "sorted"):
        first, second = (tmp_path / f"{name}-{order}" for name in ("shared", "own"))
        assert (first / "synthetic.zip").read_bytes() == (second / "synthetic.zip").read_bytes()
    with np.load(tmp_path / "shared-sorted" / "samples.npz") as file:
        np.testing.assert_array_equal(file["samples"], shared)


def test_without_classes_there_are_no_class_folders(tmp_path):
    export(tmp_path, class_names=("",), public_names=True, population=population(classes=1))
    assert "images/000011.png" in members(tmp_path)
    with np.load(tmp_path / "samples.npz") as file:
        assert file["classes"].tolist() == ["0"]


def test_the_same_run_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        export(tmp_path / name)
    for name in ("samples.npz", "report.html", "manifest.json", "synthetic.zip"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with zipfile.ZipFile(tmp_path / "one" / "synthetic.zip") as archive:
        assert {member.date_time[0] for member in archive.infolist()} == {1980}


def test_a_second_export_replaces_the_first(tmp_path):
    export(tmp_path)
    export(tmp_path, population=population(n=4))
    assert manifest_of(tmp_path)["samples"]["count"] == 4


# The manifest -----------------------------------------------------------------------------------


def test_the_hashes_cover_every_other_file(tmp_path):
    export(tmp_path)
    content = members(tmp_path)
    files = json.loads(content.pop("manifest.json"))["files"]
    assert set(files) == set(content)
    for name, entry in files.items():
        assert entry["sha256"] == hashlib.sha256(content[name]).hexdigest()
        assert entry["size"] == len(content[name])


def test_the_privacy_of_the_run_is_stated(tmp_path):
    export(tmp_path, config=config(neighbours=3, adjacency="replace", delta=1e-6))
    privacy = manifest_of(tmp_path)["privacy"]
    assert privacy["epsilon"] == 0.8
    assert privacy["delta"] == 1e-6
    assert privacy["noise_multiplier"] == 5.0
    assert privacy["releases"] == 2
    assert privacy["neighbours"] == 3
    assert privacy["unit"] == "one image"
    assert privacy["adjacency"] == "replace"
    assert "replaced" in privacy["adjacency_meaning"]
    assert re.fullmatch(r"discrete Gaussian \(OpenDP \d+\.\d+\.\d+\)", privacy["mechanism"])
    assert re.search(r"\d+\.\d+", privacy["accountant"])
    assert [g["epsilon"] for g in privacy["generations"]] == [0.0, 0.4, 0.8]
    assert [g["threshold"] for g in privacy["generations"]] == [None, 5.0, 5.0]


def test_a_run_that_was_stopped_claims_its_whole_budget(tmp_path):
    export(tmp_path, config=config(iterations=4), epsilon_planned=2.5, committed=3)
    privacy = manifest_of(tmp_path)["privacy"]
    assert privacy["epsilon"] == 2.5
    assert (privacy["releases"], privacy["planned_releases"]) == (3, 4)
    assert "voted in 3 of the 4 iterations" in (tmp_path / "report.html").read_text("utf-8")


def test_public_settings_and_a_name_are_enough_to_run_again(tmp_path):
    given = config(degrees=(1.0, 0.5), seed=7, threshold=3.0, keep_selected=True)
    export(tmp_path, config=given)
    settings = manifest_of(tmp_path)["settings"]
    again = RunConfig.from_json(json.dumps({**settings, "dataset_name": "mine"}))
    for name in boundary.PUBLIC_SETTINGS:
        expected = given.sample_schedule if name == "num_samples" else getattr(given, name)
        assert getattr(again, name) == expected


def test_a_models_folder_is_told_by_its_last_name_only(tmp_path):
    options = {
        "model": "/home-x17/models/fine-tuned/",
        "variation_model": "a/b",
        "preview_autoencoder": "C:\\home-x17\\tiny",
        "negative_prompt": "blurry/grainy, " * 40,
    }
    settings = config(generator="stable_diffusion", generator_options=options)
    export(tmp_path, config=settings)
    told = manifest_of(tmp_path)["settings"]["generator_options"]
    assert told == options | {"model": "fine-tuned", "preview_autoencoder": "tiny"}
    assert not holds(everything(tmp_path), "home-x17")


def test_the_keys_are_the_ones_programs_rely_on(tmp_path):
    export(tmp_path)
    found = manifest_of(tmp_path)
    assert list(found) == ["product", "what", "privacy", "samples", "settings", "versions", "files"]
    assert list(found["samples"]["classes"][0]) == ["id", "name", "folder", "samples"]
    assert {"python", "numpy", "pillow", "opendp", "dp-accounting"} <= set(found["versions"])


# What stays inside ------------------------------------------------------------------------------


def test_nothing_private_is_in_any_byte(tmp_path):
    prompts = {SECRET_CLASSES[0]: ("one shape",), SECRET_CLASSES[1]: ("another shape",)}
    export(tmp_path, config=config(class_prompts=prompts))
    content = everything(tmp_path)
    for secret in (SECRET_DATASET, *SECRET_CLASSES, "9.875", str(tmp_path)):
        assert not holds(content, secret), secret
    assert manifest_of(tmp_path)["settings"]["class_prompts"] == {
        "0": ["one shape"],
        "1": ["another shape"],
    }


def test_confirmed_names_are_used_everywhere(tmp_path):
    prompts = {SECRET_CLASSES[0]: ("one shape",)}
    export(tmp_path, public_names=True, config=config(class_prompts=prompts))
    assert f"images/{SECRET_CLASSES[1]}/000006.png" in members(tmp_path)
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as file:
        assert tuple(file["classes"]) == SECRET_CLASSES
    assert SECRET_CLASSES[0] in manifest_of(tmp_path)["settings"]["class_prompts"]
    assert SECRET_CLASSES[0] in (tmp_path / "report.html").read_text("utf-8")
    assert not holds(everything(tmp_path), SECRET_DATASET)


HOSTILE = (
    "../../etc",
    "CON",
    "com1.txt",
    "a/b",
    "a\\b",
    "A?B",
    "<script>alert(1)</script>",
    "",
    "7",
    "ÄÖ",
    "..",
    ".hidden",
    "trailing. ",
    "x" * 500,
    "nul\x00l\n",
    "…",
    "lpt¹",
)


def test_hostile_names_become_safe_folders(tmp_path):
    n = len(HOSTILE)
    given = population(n=n, classes=n)
    export(tmp_path, class_names=HOSTILE, public_names=True, population=given)
    folders = [entry["folder"] for entry in manifest_of(tmp_path)["samples"]["classes"]]
    assert len({folder.casefold() for folder in folders}) == n
    assert "ÄÖ" in folders
    for folder in folders:
        assert re.fullmatch(r"[\w-]{1,80}", folder) and folder[0] not in "-_"
        assert not re.fullmatch(r"(con|nul|prn|aux|com\d|lpt\d)", folder, re.IGNORECASE)
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "synthetic.zip") as archive:
        archive.extractall(unpacked)
    assert len(list(unpacked.glob("images/*/*.png"))) == n


def test_a_folder_taken_by_a_later_name_is_not_given_twice():
    table = manifest.class_table(("a b", "a-b", "a?b", "a-b-1", "A-B"))
    assert len({entry["folder"].casefold() for entry in table}) == 5


# The report -------------------------------------------------------------------------------------


def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_every_text_is_escaped(tmp_path):
    attack = '<script>alert("x")</script>'
    export(
        tmp_path,
        class_names=(attack, "b"),
        public_names=True,
        config=config(prompts=(attack,), class_prompts={attack: (attack,)}),
    )
    assert "<script" not in page(tmp_path)
    assert html.escape(attack, quote=False).split("(")[0] in page(tmp_path)


def test_the_report_needs_nothing_from_outside(tmp_path):
    export(tmp_path)
    text = page(tmp_path)
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]+)', text))
    assert not re.search(r"https?://|<link|<script|@import|url\(", text)
    pictures = re.findall(r"data:image/png;base64,", text)
    assert len(pictures) == 1 + 3 + 2 + 1  # the result, a sheet each, two histograms, the ε curve


def test_the_report_says_what_the_budget_means(tmp_path):
    export(tmp_path)
    text = page(tmp_path)
    assert "ε = 0.8" in text and "δ = 1e-5" in text
    assert "2.226 times" in text  # e^0.8 = 2.2255...
    assert "69 %" in text  # 1 / (1 + e^-0.8) = 0.68997...
    assert "one of them had been left out" in text and "replaced" not in text
    assert "close to certain" not in text


def test_the_report_follows_adjacency_and_warns_of_a_weak_budget(tmp_path):
    late = [*records()[:2], GenerationRecord(2, None, np.arange(12), 5.0, 8.0)]
    export(tmp_path, config=config(adjacency="replace", epsilon=8.0), records=late)
    text = page(tmp_path)
    assert "been replaced by any other image" in text and "left out" not in text
    assert "close to certain" in text


def test_bounds_are_rounded_up():
    assert [statement.up(x) for x in (0.99991, 1.0, 2.71828, 1e-5, 0.0)] == [
        "1",
        "1",
        "2.719",
        "1e-5",
        "0",
    ]


def test_the_best_guess_is_the_exact_optimum():
    """Against the region of error rates that (ε, δ) allows, searched on a grid."""
    for epsilon, delta in [(0.1, 1e-5), (1.0, 0.05), (3.0, 0.1)]:
        false_positives = np.linspace(0, 1, 100_001)
        true_positives = np.minimum(
            np.exp(epsilon) * false_positives + delta,
            1 - np.exp(-epsilon) * (1 - delta - false_positives),
        ).clip(0, 1)
        best = ((true_positives + 1 - false_positives) / 2).max()
        assert statement.best_guess(epsilon, delta) == pytest.approx(best, abs=1e-4)


def test_long_runs_and_large_sheets_stay_small(tmp_path):
    many = records(iterations=60, sheet_size=(2000, 2400))
    export(tmp_path, config=config(iterations=60), records=many)
    assert (tmp_path / "report.html").stat().st_size < 6_000_000  # pure noise, the worst case
    assert "12 of 61 generations are shown" in page(tmp_path)
    assert "Generation 60" in page(tmp_path)


def test_a_run_without_sheets_still_has_a_report(tmp_path):
    bare = [GenerationRecord(r.generation, None, r.noisy_votes, r.threshold, r.epsilon_spent)
            for r in records()]  # fmt: skip
    export(tmp_path, records=bare)
    assert '<img class="sheet"' not in page(tmp_path)
