"""The named endpoints: the real ``gradio_client`` and the real MCP client, over HTTP."""

import asyncio
import io
import json
import logging
import re
import time
import zipfile
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import pytest
from chromium import ROOT
from gradio_client import Client
from gradio_client.exceptions import AppError
from loops import awaited
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from over_http import Visitor, serving
from test_isolation import until
from visitors import ACCOUNTS, local_app, shared_app

from pe_engine.ui.api import Api, for_requests
from pe_engine.ui.api_doors import mcp_server
from pe_engine.ui.gate import API, MCP

NAMES = {
    "start_run",
    "run_status",
    "list_runs",
    "pause_run",
    "finish_run",
    "resume_run",
    "download",
    "budget",
}
QUICK = {"data": "example", "epsilon": 5.0, "iterations": 1, "num_samples": 30}
NO_RUN = "0" * 32
OF_THE_OWNER = pytest.mark.parametrize("served", ["key"], indirect=True)


@pytest.fixture(scope="module", params=["key", "password"])
def served(request, tmp_path_factory):
    """A server, and the header by which its owner or an account is http."""
    home = tmp_path_factory.mktemp("home")
    app = local_app(home) if request.param == "key" else shared_app(home)
    if request.param == "key":
        header = {"Authorization": f"Bearer {app.state.key.value}"}
    else:
        header = {"Authorization": httpx.BasicAuth(*next(iter(ACCOUNTS.items())))._auth_header}
    with serving(app) as address:
        yield SimpleNamespace(address=address, header=header, local=request.param == "key")


@pytest.fixture
def http(served):
    """Sends the header."""
    with httpx.Client(base_url=served.address, headers=served.header) as client:
        yield client


@pytest.fixture
def client(served):
    client = client_of(served, served.header)
    yield client
    client.close()


def client_of(served, header):
    return Client(served.address + API, headers=header, verbose=False, analytics_enabled=False)


@asynccontextmanager
async def session_of(served):
    place = streamablehttp_client(served.address + MCP, headers=served.header)
    async with place as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        yield session


def test_a_program_makes_a_run_and_fetches_its_zip(served, client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert {name.strip("/") for name in endpoints} == NAMES
    assert "votes of noise" in client.predict(epsilon=2.0, api_name="/budget")
    run_id = client.predict(**QUICK, prompts=["A"], api_name="/start_run")["run_id"]
    until(lambda: client.predict(run_id, api_name="/run_status")["status"] == "done")
    listed = client.predict(api_name="/list_runs")
    assert [run["run_id"] for run in listed["runs"]] == [run_id]
    place = client.predict(run_id, api_name="/download")
    answer = httpx.get(served.address + place, headers=served.header)
    assert "manifest.json" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    status = client.predict(run_id, api_name="/run_status")
    assert ("handwriting" in str(status)) == served.local  # the name of the images


@OF_THE_OWNER
def test_an_mcp_client_makes_a_run(served):
    async def talk():
        async with session_of(served) as session:
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            assert set(tools) == NAMES
            asked = tools["start_run"].inputSchema["properties"]
            assert "epsilon" in asked and not {"who", "request"} & set(asked)

            async def call(name, **given):
                answer = await session.call_tool(name, given)
                assert not answer.isError, answer
                told = answer.structuredContent
                return told.get("result", told)

            run_id = (await call("start_run", **QUICK))["run_id"]
            while (await call("run_status", run_id=run_id))["status"] != "done":
                await asyncio.sleep(0.1)
            place = await call("download", run_id=run_id)
            refused = await session.call_tool("run_status", {"run_id": NO_RUN})
            return place, refused

    place, refused = awaited(talk())
    answer = httpx.get(served.address + place, headers=served.header)
    assert zipfile.is_zipfile(io.BytesIO(answer.content))
    assert refused.isError and "There is no such run here" in refused.content[0].text


@OF_THE_OWNER
def test_a_problem_is_a_sentence(served, client):
    for wrong, words in (
        ({"epsilon": -1.0}, "epsilon"),
        ({"data": "f" * 32}, "not here any more"),
        ({"generator": "nothing"}, "nothing"),
        ({"data": "/etc"}, ""),
    ):
        with pytest.raises(AppError) as raised:
            client.predict(**QUICK | wrong, api_name="/start_run")
        assert words in str(raised.value) and "Traceback" not in str(raised.value)
    with pytest.raises(AppError, match="no such run"):
        client.predict(NO_RUN, api_name="/run_status")


def test_nobody_else_is_answered(served):
    reads = [f"{API}/config", f"{API}/gradio_api/info", f"{API}/gradio_api/queue/data", MCP]
    writes = [f"{API}/gradio_api/queue/join", MCP]
    for headers in ({}, {"Authorization": "Bearer " + "0" * 64}, {"Authorization": "Basic eDp5"}):
        for method, places in (("GET", reads), ("POST", writes)):
            for place in places:
                place = served.address + place
                assert httpx.request(method, place, headers=headers).status_code == 401, place
                if headers and not served.local:
                    return  # each wrong password takes longer


@OF_THE_OWNER
def test_nothing_else_of_gradio_is_there(http):
    for place in (
        "/",
        "/gradio_api/upload",
        "/gradio_api/file=x",
        "/gradio_api/call/budget",
        "/gradio_api/run/budget",
        "/gradio_api/heartbeat/x",
        "/gradio_api/cancel",
        "/gradio_api/mcp/",
        "/gradio_api/proxy=x",
        "/login",
        "/gradio_api/reset",
    ):
        for method in ("GET", "POST"):
            assert http.request(method, API + place).status_code == 404, place
    assert http.get(MCP).status_code == 405
    too_much = http.post(MCP, content=b"x" * (512 * 2**10 + 1))
    assert too_much.status_code == 413


@OF_THE_OWNER
def test_no_file_is_slipped_in(http):
    config = http.get(f"{API}/config").json()
    budget = next(d for d in config["dependencies"] if d["api_name"] == "budget")
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    for value in (file, [file], {"x": file}, {"path": "/etc/passwd"}, [[file]]):
        body = {"data": [value, 1e-5, 1], "fn_index": budget["id"], "session_hash": "x"}
        assert http.post(f"{API}/gradio_api/queue/join", json=body).status_code == 400


def test_one_runs_of_another_are_not_there(served):
    other = Visitor(served.address, None if served.local else list(ACCOUNTS.items())[1])
    mine = client_of(served, served.header)
    run_id = mine.predict(**QUICK, api_name="/start_run")["run_id"]
    until(lambda: mine.predict(run_id, api_name="/download"))
    cookies = "; ".join(f"{k}={v}" for k, v in other.http.cookies.items())
    theirs = client_of(served, {"Cookie": cookies})
    assert theirs.predict(api_name="/list_runs") == {"total": 0, "runs": []}
    for name in ("run_status", "pause_run", "finish_run", "resume_run", "download"):
        said = []
        for asked in (run_id, NO_RUN):
            with pytest.raises(AppError) as raised:
                theirs.predict(asked, api_name=f"/{name}")
            said.append(str(raised.value))
        assert said[0] == said[1] and "no such run" in said[0]
    mine.close(), theirs.close(), other.http.close()


@OF_THE_OWNER
def test_the_example_of_the_readme_works_as_printed(served, tmp_path, monkeypatch):
    readme = (ROOT / "README.md").read_text("utf-8")
    example = re.search(r"## Use it from a program.*?```python\n(.*?)```", readme, re.DOTALL)[1]
    assert len(list(filter(None, example.splitlines()))) <= 10
    key = served.header["Authorization"].partition(" ")[2]
    example = example.replace("http://127.0.0.1:7860", served.address).replace("KEY", key)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert zipfile.is_zipfile(tmp_path / "synthetic.zip")


SENT = "Anna Example"  # as it might stand in a prompt
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}


@OF_THE_OWNER
def test_what_a_program_sends_stands_in_no_log(http, caplog, capfd):
    json_only = {"Accept": "application/json, text/event-stream"}
    for body in (
        SENT,
        "[" * 100_000 + SENT,
        {**CALL, "params": {SENT: 1}},
        {**CALL, "method": SENT},
        {"jsonrpc": "2.0", "method": SENT, "params": {}},
        {"jsonrpc": "2.0", "id": 1, "result": {"x": SENT}},
        {**CALL, "params": {"name": "start_run", "arguments": {"prompts": SENT}}},
    ):
        content = body if isinstance(body, str) else json.dumps(body)
        http.post(MCP, content=content, headers=json_only | {"Content-Type": "application/json"})
    said = [*caplog.records, *capfd.readouterr()]
    assert said == ["", ""]


def test_the_tools_leave_the_logs_of_the_process_alone(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    mcp_server(Api(None))
    assert logging.getLogger().handlers == []


@OF_THE_OWNER
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("run_status", {"run_id": [SENT]}),
        ("list_runs", {"skip": SENT}),
        ("start_run", {"options": SENT}),
        ("start_run", {"prompts": 5}),
        ("start_run", {"data": None}),
        ("start_run", {"dataset_name": {"a": SENT}}),
        ("start_run", {"epsilon": [SENT]}),
    ],
    ids=str,
)
def test_an_argument_of_a_wrong_kind_is_answered_with_a_sentence(client, capfd, name, given):
    with pytest.raises(AppError, match=f"{next(iter(given))} is of the wrong kind"):
        client.predict(**given, api_name=f"/{name}")
    assert capfd.readouterr().err == ""


def test_programs_do_not_take_all_threads_of_the_page():
    working, most = [], []

    def work(who):
        working.append(who)
        most.append(len(working))
        time.sleep(0.02)
        working.remove(who)

    async def ask():
        places = asyncio.Semaphore(2)
        call = for_requests(work, object, lambda request: request, lambda error: error, places)
        await asyncio.gather(*(call(number) for number in range(9)))

    awaited(ask())
    assert max(most) == 2 and len(most) == 9
