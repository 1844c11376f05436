"""A short run with a generator, to the zip, whose every member is checked."""

import hashlib
import json
import zipfile

from pe_engine.components import chosen
from pe_engine.runner import Run
from pe_engine.snapshot import Status
from pe_engine.starting import start_run


def evolved(folder, config, private, ledger):
    """The finished run in ``folder``; its zip holds what its manifest says."""
    start_run(folder, config, private, ledger)
    run = Run(folder, ledger)
    run.start()
    assert run.wait(120).status is Status.DONE, run.snapshot.error
    with zipfile.ZipFile(run.zip_path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}  # checks their CRC
    files = json.loads(content.pop("manifest.json"))["files"]
    assert set(files) == set(content)
    for name, entry in files.items():
        assert entry["sha256"] == hashlib.sha256(content[name]).hexdigest()
    return run


def estimate(name, given, images):
    """What a generator with these options says that so many images cost."""
    kind, options = chosen(name, given)
    return kind.estimate(options, images)
