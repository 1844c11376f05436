"""The layout's rules: imports point down, and heavy libraries load only where they are used."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "pe_engine").rglob("*.py"))

# A module may import what stands in a row above its own.
LAYERS = [
    "__init__ errors ending checks files ownership titles quotas generators embedders privacy hub"
    " datasets",
    "config population images presets statement takeout takeout/choice",
    "events",
    "class_rules persons decoding decode_worker decode_pool sources reading zips arrays candidates"
    " census",
    "population_files privacy/charges privacy/accounting privacy/schema privacy/tables",
    "generators/* embedders/*",
    "snapshot voting counting privacy/mechanism privacy/ledger data storage selection components"
    " header plots advice",
    "boundary release report manifest timing bench bench/plan argument_kinds"
    " takeout/arguments arguments offspring past initial continuing datasets/* lineage previews"
    " generations family_tree",
    "generators/composite generators/image_pool generators/pool_features",
    "evolution export releasing takeout/*",
    "finishing",
    "build",
    "starting",
    "lease resting history command_line",
    "runner",
    "zero_gpu",
    "jobs reporting bench/*",
    "cli takeout/command ui ui/* training training/* audit audit/*",
    "__main__",
]
ONLY_IN = {
    "gradio": ("ui/",),
    "torch": ("generators/", "embedders/", "voting", "components", "bench/", "training/"),
    "diffusers": ("generators/", "bench/", "training/"),
    "transformers": ("generators/", "embedders/", "bench/", "training/"),
    "faiss": ("voting",),
    "opendp": ("privacy/",),
    "dp_accounting": ("privacy/",),
    "sqlite3": ("privacy/",),
    "matplotlib": ("plots",),
    "fpdf": ("takeout/pdf",),
}
NETWORKS = ("training/", "generators/improved_unet")  # classes of torch, imported where used


def name_of(path):
    return path.relative_to(ROOT / "pe_engine").with_suffix("").as_posix().removesuffix("/__init__")


NAMES = {name_of(path) for path in MODULES}


def imports_of(path):
    """(module imported, whether at the top of the file)"""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        top = node in tree.body
        if isinstance(node, ast.Import):
            yield from ((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module, top
            yield from ((f"{node.module}.{alias.name}", top) for alias in node.names)


def layer_of(name):
    """The row that has the name itself, or else its folder."""
    for entry in (name, f"{name.rpartition('/')[0]}/*"):
        for i, row in enumerate(LAYERS):
            if entry in row.split():
                return i
    return None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path):
    name = name_of(path)
    own = layer_of(name)
    assert own is not None, f"{name} has no layer; give it one in LAYERS"
    for module, _ in imports_of(path):
        if module.startswith("pe_engine."):
            other = module.removeprefix("pe_engine.").replace(".", "/")
            while other and other not in NAMES:  # a name within a module
                other = other.rpartition("/")[0]
            neighbours = "/" in name and other.rpartition("/")[0] == name.rpartition("/")[0]
            if other and not neighbours:
                assert layer_of(other) <= own, f"{name} imports {other} from above it"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_heavy_libraries_stay_where_they_belong(path):
    name = name_of(path)
    for module, top in imports_of(path):
        library = module.partition(".")[0]
        if library in ONLY_IN:
            assert name.startswith(ONLY_IN[library]), f"{name} imports {library}"
            if library not in ("gradio", "sqlite3") and not name.startswith(NETWORKS):
                assert not top, f"{name} imports {library} at its top"


def test_help_answers_in_under_a_second():
    command = [sys.executable, "-m", "pe_engine", "run", "--help"]
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        seconds.append(time.monotonic() - started)
    code = "import sys, pe_engine.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"torch", "faiss", "matplotlib", "opendp", "gradio", "PIL"} & set(loaded)
    print(f"--help: {sorted(seconds)[1]:.2f} s")
