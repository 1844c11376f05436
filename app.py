"""Private Evolution Studio: start the page with ``python app.py`` and open the printed address."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

DEFAULT_PORT = 7860
PORTS_TRIED = 50


def main(argv: list[str] | None = None) -> int:
    """Serve the page until Ctrl-C; the exit code."""
    arguments = _parser().parse_args(argv)
    from pe_engine.ui.entrance import entrance, is_space, mounted, place, rules, wants_demo

    host, port = place(arguments.host, arguments.port, os.environ)
    port = port or _free_port(host)
    if port is None:
        print(f"No port from {DEFAULT_PORT} on is free. Choose one with --port.", file=sys.stderr)
        return 2
    # Both are read when gradio is imported: no usage statistics, no look for a newer version.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from pe_engine.errors import PEError
    from pe_engine.files import home_folder
    from pe_engine.ui.desktop import check_window
    from pe_engine.ui.server import build_app

    demo = arguments.demo or wants_demo(os.environ)
    try:
        login = entrance(arguments.auth, os.environ, demo)
        if arguments.window:
            check_window()
        app = build_app(
            home_folder(mounted(os.environ)),
            host,
            login,
            framed=is_space(os.environ),
            output=arguments.output,
            house=rules(demo, host, login, os.environ),
        )
        return _serve(app, arguments, host, port)
    except PEError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _serve(app: FastAPI, arguments: argparse.Namespace, host: str, port: int) -> int:
    from pe_engine.files import home_folder
    from pe_engine.ui.desktop import has_screen, open_browser, show_window
    from pe_engine.ui.security import LOCAL_HOSTS
    from pe_engine.ui.serving import NOT_STARTED, serve, serving

    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    server = f"http://{shown}:{port}"
    print(f"Private Evolution Studio: {server}{app.state.address}  (Ctrl-C ends it)", flush=True)
    if arguments.window:
        with serving(app, host, port) as started:
            if not started:
                return NOT_STARTED
            storage = home_folder() / "window"
            show_window(server + app.state.address, storage, app.state.manager.is_busy)
        return 0
    wanted = not arguments.no_browser and host in LOCAL_HOSTS and has_screen(os.environ)
    address = app.state.key.address_once() if app.state.key else app.state.address
    return serve(app, host, port, lambda: open_browser(server + address) if wanted else None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--host", help="address to bind to (default: this machine only; on a Space, all)"
    )
    parser.add_argument(
        "--port", type=int, help=f"port (default: the first free one from {DEFAULT_PORT} on)"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="do not open the page in the browser"
    )
    parser.add_argument(
        "--window",
        action="store_true",
        help="show the page in a window of its own, whose closing ends the program",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where each finished run is copied to, in a folder of its own",
    )
    parser.add_argument(
        "--auth",
        action="append",
        default=[],
        metavar="NAME:PASSWORD",
        help="an account that may log in; may be given several times. Others on this machine can "
        "read it in the list of processes: better set PE_AUTH, one account a line",
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="let anybody in without a login, within narrow bounds; or set PE_DEMO=1",
    )
    return parser


def _free_port(host: str) -> int | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED):
        with socket.socket(family) as probe:
            if os.name != "nt":  # a port just freed counts as free; on Windows this would share it
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    return None


if __name__ == "__main__":
    from pe_engine.ending import end_process

    end_process(main())
