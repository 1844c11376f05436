"""Fetch the fonts in ``assets/fonts`` and write their table in ``assets/LICENSES.md``.

Run ``python tests/tools/fetch_fonts.py`` with npm installed. A font is taken from npm's
``@fontsource`` package of its name, and only if the package's own licence file is the SIL Open
Font License 1.1 and its latin subset holds every ASCII letter and digit. The kind of a font
(handwriting, sans, serif, mono) is the first part of its file name; ``glyphs.py`` reads it there.
"""

from __future__ import annotations

import json
import re
import string
import subprocess
import tarfile
import tempfile
from pathlib import Path

from fontTools.ttLib import TTFont

ASSETS = Path(__file__).resolve().parents[2] / "assets"
FONTS = ASSETS / "fonts"
LICENSES = ASSETS / "LICENSES.md"
NEEDED = set(map(ord, string.ascii_letters + string.digits))

KINDS = {
    "handwriting": """annie-use-your-telescope architects-daughter bad-script balsamiq-sans caveat
        caveat-brush cedarville-cursive chilanka comic-neue comic-relief cookie courgette
        covered-by-your-grace damion dancing-script delicious-handrawn delius finger-paint freehand
        gaegu gloria-hallelujah gochi-hand grand-hotel grandstander handlee happy-monkey
        indie-flower italianno itim kalam kaushan-script licorice liu-jian-mao-cao long-cang
        ma-shan-zheng mansalva marck-script ms-madi nanum-brush-script nanum-pen-script neucha
        oooh-baby pacifico parisienne patrick-hand playpen-sans poor-story reenie-beanie sacramento
        shadows-into-light shantell-sans short-stack sriracha sue-ellen-francisco
        swanky-and-moo-moo the-girl-next-door twinkle-star vibur whisper yomogi yusei-magic
        zen-kurenaido zhi-mang-xing""",
    "sans": """abeezee cabin comfortaa didact-gothic dm-sans dosis exo-2 figtree inter josefin-sans
        jost karla lato lexend nunito oswald outfit pt-sans quicksand titillium-web varela-round
        work-sans""",
    "serif": """arvo bitter cormorant crimson-pro eb-garamond kiwi-maru libre-baskerville lora
        merriweather old-standard-tt playfair-display pt-serif spectral zilla-slab""",
    "mono": "anonymous-pro courier-prime cousine ibm-plex-mono inconsolata space-mono",
}


def main() -> None:
    FONTS.mkdir(parents=True, exist_ok=True)
    rows = []
    for kind, names in KINDS.items():
        for name in names.split():
            with tempfile.TemporaryDirectory() as folder:
                rows.append(fetch(kind, name, Path(folder)))
            print(rows[-1])
    write_table(rows)


def fetch(kind: str, name: str, folder: Path) -> str:
    """Copy one font into ``assets/fonts`` and return its row of the licence table."""
    subprocess.run(["npm", "pack", "--silent", f"@fontsource/{name}"], cwd=folder, check=True)
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    package = folder / "package"
    about = json.loads((package / "package.json").read_text("utf-8"))
    family = json.loads((package / "metadata.json").read_text("utf-8"))["family"]
    source = package / "files" / f"{name}-latin-400-normal.woff2"
    copyright_line = check(name, about["license"], package / "LICENSE", source)
    target = FONTS / f"{kind}-{name}.woff2"
    target.write_bytes(source.read_bytes())
    return (
        f"| {target.name} | {family} | {copyright_line} | {about['version']} "
        f"| {about['name']} | OFL-1.1 |"
    )


def check(name: str, declared: str, licence: Path, font: Path) -> str:
    """The font's copyright line; raises ValueError where licence or characters do not fit."""
    head, _, body = licence.read_text("utf-8").partition("\n")
    if declared != "OFL-1.1" or "SIL OPEN FONT LICENSE Version 1.1" not in body:
        raise ValueError(f"{name} is not under the SIL Open Font License 1.1")
    missing = NEEDED - set(TTFont(font).getBestCmap())
    if missing:
        raise ValueError(f"{name} lacks {sorted(map(chr, missing))}")
    if not head.startswith("Copyright"):
        raise ValueError(f"{name} names no copyright holder: {head!r}")
    (FONTS / "OFL.txt").write_text(body.strip() + "\n", "utf-8")
    # Some packages repeat the line once for each style's file; the first is that of the regular.
    return re.split(r"\s\S+\.ttf:", head)[0].strip().replace("|", "/")


def write_table(rows: list[str]) -> None:
    """Replace the section ``## fonts/`` of the licence file."""
    section = [
        "## fonts/",
        "",
        "Each font is under the SIL Open Font License 1.1, whose text is in `fonts/OFL.txt`. The "
        "files are the latin subsets of the npm packages named here, unchanged but for their file "
        "names.",
        "",
        "| File | Family | Copyright | Version | Package | Licence |",
        "|---|---|---|---|---|---|",
        *rows,
    ]
    text = LICENSES.read_text("utf-8") if LICENSES.exists() else "# Licences of the bundled files\n"
    kept = re.sub(r"^## fonts/\n.*?(?=^## |\Z)", "", text, flags=re.DOTALL | re.MULTILINE)
    LICENSES.write_text(kept.rstrip() + "\n\n" + "\n".join(section) + "\n", "utf-8")


if __name__ == "__main__":
    main()
