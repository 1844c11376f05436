"""What a visitor of a shared server can make it open, over real HTTP: nothing of their choice."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from over_http import Visitor, serving
from visitors import ACCOUNTS, shared_app


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Of the shared server."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def visitor(home):
    """A visitor of a shared server, over real HTTP."""
    with serving(shared_app(home)) as address:
        visitor = Visitor(address, next(iter(ACCOUNTS.items())))
        yield visitor
        visitor.http.close()


class Listener(BaseHTTPRequestHandler):
    """Notes who asks."""

    asked: list

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def listener():
    """An address on this machine and the list of what was asked of it."""
    asked = []
    server = HTTPServer(("127.0.0.1", 0), type("Own", (Listener,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/x.png", asked
    server.shutdown()
    thread.join()
    server.server_close()


EXAMPLE = {"kind": "example"}
FIELDS = {"Iterations": "1", "Samples": "30", "ε (epsilon)": "5", "Data set name": "mine"}


def start(visitor, values, source=EXAMPLE):
    """What a visitor is told who presses Run."""
    return visitor.call(visitor.events()["start"], source=source, values=FIELDS | values)


SD, COMPOSITE = {"Generator": "stable_diffusion"}, {"Generator": "composite"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"Generator": "improved_diffusion"}, "Choose one of"),
        ({"Generator": "image_pool"}, "Choose one of"),
        ({"Generator": "hf_inference"}, "Choose one of"),
        ({"Generator": "openai_images"}, "Choose one of"),
        ({"Generator": "/etc/passwd:Own"}, "not known"),
        ({"Generator": "os:system"}, "not known"),
        ({"Generator": ["text"]}, ""),
        ({"Generator": {"path": "/etc/passwd"}}, ""),
        (SD | {"Model": "/etc"}, "takes no model"),
        (SD | {"Model": "http://127.0.0.1/x"}, "takes no model"),
        (SD | {"Variation model": "some/other"}, "takes no model"),
        (SD | {"Small autoencoder for look-ahead": "../main"}, "takes no model"),
        (COMPOSITE | {"Options of the model": "steps=2; model=/etc"}, "takes no model"),
        (COMPOSITE | {"Simulator": "image_pool"}, ""),
        (
            COMPOSITE
            | {"Simulator": "composite", "Options of the simulator": "simulator=composite"},
            "",
        ),
        (
            COMPOSITE | {"Simulator": "stable_diffusion", "Options of the simulator": "model=/etc"},
            "",
        ),
        ({"Embedder": "/etc/passwd"}, "embedder"),
        ({"Embedder": "http://127.0.0.1/x"}, "embedder"),
        ({"Device": "/dev/sda"}, "device"),
        ({"Start from": "/etc"}, "opens no path"),
        ({"Start from": "http://127.0.0.1/x"}, "opens no path"),
        ({"Class of an image": "/etc/passwd"}, ""),
        ({"Images of one person": "/etc/passwd"}, ""),
        ({"Classes": "../etc"}, ""),
    ],
    ids=str,
)
def test_what_the_server_does_not_offer_starts_nothing(visitor, home, values, sentence):
    known = {part["props"].get("label") for part in visitor.page["components"]}
    assert set(values) <= known
    said = start(visitor, values)
    refused = said[0] == 400  # the page has no such choice, or sends nothing of this form
    assert refused or (said[-1][1][0] == "" and sentence in said[-1][1][-1]), said
    assert list(home.glob("runs/*")) == []


@pytest.mark.parametrize("name", ["source_changed", "input", "start"])
def test_a_file_or_address_in_place_of_a_value_is_not_opened(visitor, listener, name):
    address, asked = listener
    names = {"source_changed": "describe_and_name", "input": "describe", "start": "start"}
    event = visitor.events()[names[name]]
    for path in (address, "/etc/passwd", "pe_engine/jobs.py"):
        file = {"path": path, "url": address, "meta": {"_type": "gradio.FileData"}}
        for source in (file, {"kind": "upload", "token": path} | file, [file], path):
            said = visitor.call(event, source=source, values={"Data set name": file})
            assert "root:" not in str(said) and "JobManager" not in str(said)
    assert asked == []


def test_markup_that_is_typed_comes_back_as_text(visitor):
    markup = "<img src=x onerror=alert(1)>"
    for values in (
        {"ε (epsilon)": markup},
        {"Generator": markup},
        {"Data set name": markup * 9},
        {"Prompts": markup, "Samples": markup},
    ):
        assert "<img" not in str(start(visitor, values))
    for source in ({"kind": markup}, {"kind": "upload", "token": markup}):
        assert "<img" not in str(start(visitor, {}, source))
    attach = visitor.events()["attach"]
    view = visitor.call(attach, event_data={"run_id": markup})[-1][1][0]
    assert view["status"] == "missing"


@pytest.mark.parametrize("event_data", [None, 7, "x", {}, {"run_id": None}])
def test_event_data_of_any_form_is_no_run(visitor, event_data):
    for name in ("stop", "delete", "resume"):
        said = visitor.call(visitor.events()[name], source=None, event_data=event_data)
        assert "not the address of a run" in str(said)
