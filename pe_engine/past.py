"""What pictures that a run starts from cost on the private images that they were chosen by."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError, DataError
from pe_engine.header import RUN_ID, Header
from pe_engine.manifest import PRODUCT, STARTS
from pe_engine.privacy.charges import Charge

READ_BYTES = 2**20
NOT_TOLD = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
"""What comes of looking for something in JSON values that are not as they should be."""


@dataclass(frozen=True)
class Past:
    """What pictures cost on the private images that they were chosen by.

    Attributes:
        charges: of all runs that led to them.
        known: whether nothing else can have gone into them.
        persons: the rule for persons of the last of these runs.
        run_id: of that run where it protected persons; its ledger knows which ones. "" where
            nothing tells.
    """

    charges: tuple[Charge, ...] = ()
    known: bool = True
    persons: str = "none"
    run_id: str = ""


def of_run(header: Header) -> Past:
    """What the pictures of a run cost: whoever goes on from one has seen the votes of all.

    Raises:
        ConfigError, TypeError, ValueError: the header is not one that a run has.
    """
    config = header.config
    own = Charge(
        header.budget.noise_multiplier, config.votes_per_unit, config.iterations, config.unit
    )
    if not RUN_ID.fullmatch(header.run_id) or not isinstance(header.start_is_known, bool):
        raise ValueError("no run has such an id or such a start")
    run_id = header.run_id if config.unit == "person" else ""
    return Past((*header.inherited, own), header.start_is_known, config.persons, run_id)


def of_file(samples: Path) -> Past:
    """What the manifest beside the samples of a release says; of any other file nothing is known.

    Raises:
        DataError: it is our manifest of this very file, but says what none of ours does.
    """
    try:
        told = json.loads(samples.with_name("manifest.json").read_text(encoding="utf-8"))
        ours = told["product"]["name"] == PRODUCT
        digest = told["files"]["samples.npz"]["sha256"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return Past(known=False)
    if not ours or digest != _sha256(samples):
        return Past(known=False)
    try:
        return _told(told)
    except (ConfigError, *NOT_TOLD) as error:
        raise DataError(
            "The manifest.json beside the pictures to start from is damaged, so that nobody knows "
            "what they cost. Put the release's own one back, or choose others."
        ) from error


def check_persons(config: RunConfig, past: Past) -> None:
    """Before a run for persons goes on from pictures that were chosen by private images.

    Raises:
        ConfigError: they were not chosen by the same persons, or nothing tells by whom.
    """
    if config.unit != "person" or not past.charges:
        return
    if any(charge.unit == "image" for charge in past.charges):
        raise ConfigError(
            "This run protects all images of a person together, but it would start from pictures "
            "for which every image voted on its own, so that nothing bounds what one person did "
            "to them. Start from a run that knew the persons, or from none."
        )
    if past.persons != config.persons:
        raise ConfigError(
            f"This run tells persons by the rule {config.persons}, but the run to start from told "
            f"them by {past.persons}: whoever is one person for one of them may be several for the "
            "other. Set persons to the same, or start from no run."
        )
    if not past.run_id:
        raise ConfigError(
            "This run protects all images of a person together, but a release does not tell for "
            "which persons its pictures were chosen. Start from the folder of the run that made "
            "it, or from none."
        )


def _told(manifest: dict[str, Any]) -> Past:
    privacy, settings = manifest["privacy"], manifest["settings"]
    start = privacy.get("start")
    if start not in (None, *STARTS.values()):  # none in those of earlier versions
        raise ValueError("no run starts so")
    persons = settings.get("persons", "none")  # unknown to earlier versions
    votes, unit = (
        (settings["neighbours"], "image")
        if persons == "none"
        else (settings["person_votes"], "person")
    )
    own = Charge(privacy["noise_multiplier"], votes, privacy["planned_releases"], unit)
    before = [Charge(**charge) for charge in privacy.get("inherited", [])]
    return Past((*before, own), start != STARTS["pictures"], persons)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
