"""The arguments of ``export``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from pe_engine.takeout.choice import FORMATS, LAYOUTS, Choice

_DEFAULTS = {f.name: f.default for f in fields(Choice)}


def add_export(commands: Any) -> None:
    """Add the command to what ``add_subparsers`` gave."""
    export = commands.add_parser("export", help="take a run's images out in another form")
    export.set_defaults(command="export")
    export.add_argument("output", type=Path, metavar="OUT", help="the run's folder")
    export.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DEST",
        help="a folder to make, or a file: set.zip, report.pdf, evolution.gif or evolution.webp",
    )
    export.add_argument("--generation", type=int, metavar="T", help="default: the newest")
    export.add_argument("--format", choices=FORMATS, default=_DEFAULTS["format"])
    export.add_argument(
        "--quality",
        type=int,
        default=_DEFAULTS["quality"],
        help="of JPEG and WebP, 1 to 100 (default: %(default)s)",
    )
    export.add_argument("--size", type=int, help="pixels (default: as they were made)")
    export.add_argument(
        "--layout", choices=LAYOUTS, default=_DEFAULTS["layout"], help="a folder per class, or one"
    )


def choice_of(options: argparse.Namespace) -> Choice:
    """What was typed.

    Raises:
        ConfigError: a value is out of its range.
    """
    return Choice(**{name: getattr(options, name) for name in _DEFAULTS})
