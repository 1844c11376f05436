"""A large file from the network, which can go on where it broke off."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from pe_engine.datasets.words import amount

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0


class DownloadError(Exception):
    """Why the file could not be had: a clause without a full stop."""


def download(url: str, part: Path, most: int) -> None:
    """Fetch the file into ``part``, after what is there already if the server can start midway.

    What has come by then stays in ``part`` if it breaks off.

    Args:
        most: refuse a file of more bytes.

    Raises:
        DownloadError: with the reason.
        OSError: ``part`` cannot be written.
    """
    import httpx

    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    host = httpx.URL(url).host
    try:
        with httpx.stream(
            "GET",
            url,
            headers=headers,
            follow_redirects=True,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        ) as answer:
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return  # it was all there
            if answer.status_code == 416:
                part.unlink()
                raise DownloadError(f"what there was of it is no part of the file at {host}")
            if not answer.is_success:
                raise DownloadError(f"{host} answers {answer.status_code} {answer.reason_phrase}")
            begin = _begin(answer.status_code, answer.headers.get("Content-Range", ""), have)
            length = answer.headers.get("Content-Length", "")
            total = begin + int(length) if length.isdigit() else None
            _store(answer.iter_raw(), part, begin, total, most)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise DownloadError(f"{host} cannot be reached from here") from error
    except httpx.HTTPError as error:
        here = part.stat().st_size if part.exists() else 0
        raise DownloadError(f"the connection to {host} broke after {amount(here)}") from error


def _begin(status: int, content_range: str, have: int) -> int:
    """From which byte on the server sends the file: ``have``, or 0 if it sends all of it."""
    if status != 206:
        return 0
    if not content_range.startswith(f"bytes {have}-"):
        raise DownloadError("the server sends another part of the file than was asked for")
    return have


def _store(blocks: Iterable[bytes], part: Path, begin: int, total: int | None, most: int) -> None:
    from tqdm import tqdm

    with (
        part.open("r+b" if begin else "wb") as file,
        tqdm(
            total=total,
            initial=begin,
            unit="B",
            unit_scale=True,
            desc="Downloading",
            file=sys.stderr,
            disable=None,  # where it is no terminal
        ) as bar,
    ):
        file.seek(begin)
        for block in blocks:
            if file.tell() + len(block) > most:
                file.truncate(0)
                raise DownloadError(f"it has more than {amount(most)}, so it is another file")
            file.write(block)
            bar.update(len(block))
