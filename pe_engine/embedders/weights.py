"""Where the weights of pretrained embedders come from, and what to say when they cannot be had.

They are downloaded once, into the caches that other tools share: the Hugging Face hub's
(``HF_HOME``) and torch hub's (``TORCH_HOME``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pe_engine import hub
from pe_engine.embedders import EMBEDDERS
from pe_engine.errors import GeneratorError
from pe_engine.files import part_of, put_in_place
from pe_engine.hub import Refused


@dataclass(frozen=True)
class HubWeights:
    """A model on the Hugging Face hub, pinned to a revision that holds safetensors.

    Attributes:
        repository, revision: which model, and the commit.
        megabytes: how much is downloaded.
    """

    repository: str
    revision: str
    megabytes: int
    files = ("config.json", "model.safetensors")

    @property
    def title(self) -> str:
        return self.repository

    def cached(self) -> Path | None:
        """The folder of the files if they are on this machine."""
        return hub.cached(self.repository, self.files, self.revision)

    def download(self) -> Path:
        """The folder of the files.

        Raises:
            Refused: with the reason.
        """
        return hub.download(self.repository, self.files, self.revision)


@dataclass(frozen=True)
class FileWeights:
    """One file at a public address.

    Attributes:
        title: what it is.
        url, sha256: where it is and the hexadecimal hash of its bytes.
        megabytes: how much is downloaded.
    """

    title: str
    url: str
    sha256: str
    megabytes: int

    def cached(self) -> Path | None:
        """The file if it is on this machine."""
        path = self._path()
        return path if path.is_file() else None

    def download(self) -> Path:
        """The file, in its place only when it is complete and its hash is right.

        Raises:
            Refused: with the reason.
        """
        import urllib.request
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError

        from torch.hub import download_url_to_file

        path = self._path()
        host = self.url.split("/")[2]
        try:
            # the library itself would wait for ever for a server that does not answer
            request = urllib.request.Request(self.url, method="HEAD")
            urllib.request.urlopen(request, timeout=hub.TIMEOUT).close()
            path.parent.mkdir(parents=True, exist_ok=True)
            part = part_of(path)
            download_url_to_file(self.url, str(part), hash_prefix=self.sha256, progress=False)
            put_in_place(part, path)
        except HTTPError as error:
            answer = f"{host} answers {error.code}"
            raise Refused(answer, "Try again later") from error
        except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
            raise hub.unreachable(host) from error
        except RuntimeError as error:  # the library's word for a wrong hash
            raise Refused("what arrived is not the published file", "Try again later") from error
        except OSError as error:
            raise hub.not_stored(error) from error
        return path

    def _path(self) -> Path:
        import torch

        return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]


WEIGHTS: dict[str, HubWeights | FileWeights] = {
    # Ported from TensorFlow's inception-2015-12-05 graph by github.com/mseitzer/pytorch-fid
    "inception": FileWeights(
        "the Inception network of the FID",
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        96,
    ),
    # the hub's own conversion to safetensors; the branch "main" is known to hold pickles
    "clip": HubWeights(
        "openai/clip-vit-base-patch32", "c237dc49a33fc61debc9276459120b7eac67e7ef", 605
    ),
    "dinov2": HubWeights("facebook/dinov2-small", "ed25f3a31f01632728cabb09d1542f84ab7b0056", 88),
}
"""Embedders that are not here need no weights."""


def fetch(embedder: str) -> Path:
    """The embedder's file, or folder of files: from the cache, else downloaded.

    Raises:
        GeneratorError: why they cannot be had, and which embedders work all the same.
    """
    weights = WEIGHTS[embedder]
    try:
        return weights.cached() or weights.download()
    except Refused as refusal:
        raise GeneratorError(
            f"The embedder {embedder} needs {weights.title} ({weights.megabytes} MB), which is not "
            f"on this machine, and {refusal.reason}. {refusal.remedy}, or choose an embedder that "
            f"works here without a download: {', '.join(ready_embedders())}."
        ) from refusal


def ready_embedders() -> list[str]:
    """The names of the embedders that need no download on this machine."""
    return [name for name in EMBEDDERS if name not in WEIGHTS or WEIGHTS[name].cached()]


def damaged(embedder: str, path: Path) -> GeneratorError:
    """The error for cached weights at ``path`` that are not what they should be."""
    return GeneratorError(
        f"The weights of the embedder {embedder} in {path} are damaged. Delete them and start "
        "again to download them anew."
    )


def load_pretrained(embedder: str, model_class: Any, device: str) -> Any:
    """A transformers model of this class with the embedder's weights, in float32, to evaluate.

    Raises:
        GeneratorError: the weights cannot be had, or are damaged.
    """
    import torch
    from safetensors import SafetensorError

    folder = fetch(embedder)
    try:
        with _quietly():
            model, loading = model_class.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise damaged(embedder, folder) from error
    if loading["missing_keys"] or loading["mismatched_keys"]:
        raise damaged(embedder, folder)
    return model.to(device).eval()


@contextmanager
def _quietly() -> Iterator[None]:
    """No progress bar for a second's work, and no list of the parts of a model not asked for."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
