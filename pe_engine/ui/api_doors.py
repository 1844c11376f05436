"""The two doors to ``Api``: Gradio's queue for ``gradio_client``, and MCP over HTTP.

MCP is not Gradio's: that one would call this server back under whatever name a request's ``Host``
says, without saying who asked.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import mcp
from mcp.server.fastmcp import Context, FastMCP
from mcp.server.fastmcp.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings

from pe_engine.ui.api import Api, for_requests
from pe_engine.ui.identity import who_asks
from pe_engine.ui.sentences import sentence_of

if TYPE_CHECKING:
    from starlette.applications import Starlette

NAME = "Private Evolution Studio"
MCP_LIBRARY = str(Path(mcp.__file__).parent)


def api_page(api: Api) -> gr.Blocks:
    """A page without components, whose events are the functions."""
    with gr.Blocks(title=NAME, analytics_enabled=False) as page:
        for function in api.functions():
            gr.api(for_requests(function, gr.Request, who_asks, _as_gradio_says, api.places))
    return page


def mcp_server(api: Api) -> FastMCP:
    """The functions as tools. Nothing is kept between two requests, nor said in the log."""
    logs = logging.getLogger()
    handlers = [*logs.handlers]
    server = FastMCP(
        NAME,
        log_level="WARNING",
        stateless_http=True,
        json_response=True,
        streamable_http_path="/",
        # SameOrigin has looked at Host and Origin already.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    logs.handlers[:] = handlers  # it sets up logging for the whole process
    logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)  # it repeats what was sent
    logs.addFilter(_is_not_of_mcp)  # where it bypasses its own
    for function in api.functions():
        server.add_tool(for_requests(function, Context, _who_calls, _as_mcp_says, api.places))
    return server


def _is_not_of_mcp(record: logging.LogRecord) -> bool:
    return not record.pathname.startswith(MCP_LIBRARY)


def mcp_app(server: FastMCP) -> Starlette:
    """What answers below the address of MCP."""
    return server.streamable_http_app()


def _who_calls(context: Context) -> Any:
    return who_asks(context.request_context.request)


def _as_gradio_says(problem: Exception) -> Exception:
    return gr.Error(sentence_of(problem), print_exception=False)


def _as_mcp_says(problem: Exception) -> Exception:
    return ToolError(sentence_of(problem))
