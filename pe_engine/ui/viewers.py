"""Tabs that watch a run. Any number may; none of them affects it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from secrets import token_hex
from typing import Any

from fastapi import HTTPException

from pe_engine.boundary import shown, watched
from pe_engine.jobs import JobManager
from pe_engine.snapshot import Status
from pe_engine.titles import read_title
from pe_engine.ui.identity import Identity
from pe_engine.ui.live import LIVE, NO_RUN, live_view, missing_view
from pe_engine.ui.run_routes import find_seen
from pe_engine.ui.watch_links import is_shared

POLL_SECONDS = 0.2
IDLE_POLL_SECONDS = 1.0  # a stopped run may be resumed from another tab
MAX_TABS = 32  # of one owner; the oldest is told nothing more
HEARTBEAT_SECONDS = 4.0  # tells the page that the stream still lives


class Viewers:
    """Which run each tab watches; a tab watches one at a time, an owner's tabs a bounded number."""

    def __init__(self, manager: JobManager, owner: bool) -> None:
        self._manager = manager
        self._owner = owner  # whoever looks may know the private images
        self._watching: dict[tuple[str, str], object] = {}
        self._server = token_hex(4)  # a page of another server's may be another page

    async def attach(self, who: Identity, tab: str, run_id: str) -> AsyncIterator[dict[str, Any]]:
        """Views of the run, one a change, until it is done or the tab watches something else.

        Args:
            tab: Gradio's session hash.
            run_id: any text; without such a run there is one view that says so.
        """
        place = (who.owner, tab)
        self._watching.pop(place, None)
        mine = self._watching[place] = object()
        self._end_oldest(who)
        try:
            async for view in self._views(who, run_id):
                if self._watching.get(place) is not mine:
                    return
                yield view
        finally:
            if self._watching.get(place) is mine:
                del self._watching[place]

    def leave(self, who: Identity, tab: str) -> dict[str, Any]:
        """End the tab's views; returns the view of no run."""
        self._watching.pop((who.owner, tab), None)
        return NO_RUN

    def _end_oldest(self, who: Identity) -> None:
        own = [place for place in self._watching if place[0] == who.owner]
        for place in own[:-MAX_TABS]:
            del self._watching[place]

    async def _views(self, who: Identity, run_id: str) -> AsyncIterator[dict[str, Any]]:
        told, told_at = None, 0.0
        while True:
            try:
                run, mine = await asyncio.to_thread(find_seen, self._manager, run_id, who)
            except HTTPException as error:
                yield missing_view(run_id, str(error.detail))
                return
            snapshot = shown(run.snapshot, self._owner) if mine else watched(run.snapshot)
            now = time.monotonic()
            view = live_view(snapshot, (run.folder / "report.html").is_file())
            view |= {"watching": not mine, "shared": mine and is_shared(run.folder)}
            view["server"] = self._server
            view["name"] = read_title(run.folder) if mine else ""  # the owner's words
            if view != told or now - told_at > HEARTBEAT_SECONDS:
                told, told_at = view, now
                yield view | {"beat": now}
            if snapshot.status is Status.DONE:
                return
            await asyncio.sleep(POLL_SECONDS if snapshot.status in LIVE else IDLE_POLL_SECONDS)
