"""Of what is sent as an event, nothing reaches Gradio that it could take for a file or trip on."""

import json

import httpx
import pytest
from over_http import Visitor, serving
from visitors import ACCOUNTS, local_app, shared_app

from pe_engine.ui import gate

PATHS = ("/proc/self/environ", "/etc", "/nowhere/x", "/dev/zero", "http://127.0.0.1:9/x", "app.py")
META = {"meta": {"_type": "gradio.FileData"}}
TYPED = "typed by a person"


@pytest.fixture(scope="module", params=["local", "shared"])
def home(request, tmp_path_factory):
    home = tmp_path_factory.mktemp(request.param)
    (home / "gradio").mkdir(mode=0o755)
    (home / "gradio" / "left").write_text("by a server that was killed")
    home.chmod(0o755)
    return home


@pytest.fixture(scope="module")
def visitor(home):
    local = home.name.startswith("local")
    with serving(local_app(home) if local else shared_app(home)) as address:
        visitor = Visitor(address, None if local else next(iter(ACCOUNTS.items())))
        yield visitor
        visitor.http.close()
    assert not (home / "gradio").exists()


def test_gradios_folder_is_this_accounts_only_and_begins_empty(visitor, home):
    for folder in (home, home / "gradio"):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert files_of_gradio(home) == []


def files_of_gradio(home):
    return [path for path in (home / "gradio").rglob("*") if not path.is_dir()]


def wrapped(value):
    """A value as deep as a sender may put it."""
    return value, [value], {"token": value}, [[value]], {"kind": "", "note": [value]}


@pytest.mark.parametrize("path", PATHS)
def test_no_file_and_no_address_is_taken_in_place_of_a_value(visitor, home, path):
    file = {"path": path} | META
    files = [*wrapped(file), *wrapped(file | {"url": path, "orig_name": "x"}), {"path": path}]
    for event in visitor.events().values():
        page = [visitor._part(number).get("value") for number in event["inputs"]]
        body = {"fn_index": event["id"], "session_hash": "x"}
        for value in files:
            asked = [{"data": page, "event_data": value}]
            for place in (0, len(page) - 1) if page else ():
                asked.append({"data": [*page[:place], value, *page[place + 1 :]]})
            for more in asked:
                assert visitor.http.post(gate.JOIN, json=body | more).status_code == 400, more
    assert files_of_gradio(home) == []
    assert httpx.get(visitor.address + "/", timeout=10).status_code < 400


def test_gradio_itself_takes_no_file_that_was_not_uploaded(visitor, home, monkeypatch):
    """Where the gate let one pass, Gradio's own check stands behind it."""
    monkeypatch.setattr("pe_engine.ui.page_events._fits", lambda *_: True)
    event = visitor.events()["budget"]
    for path in ("/etc/passwd", "/nowhere/x", "/dev/zero"):
        said = visitor.call(event, values={"ε (epsilon)": {"path": path} | META})
        assert said[-1][0] is False
    assert files_of_gradio(home) == []


@pytest.mark.parametrize("number", [-1, 999, 10**30, True, 1.0, "0", None, "browser"])
def test_an_event_that_no_handler_answers_is_refused(visitor, number, capfd):
    asked = [number]
    if number == "browser":
        asked = [e["id"] for e in visitor.page["dependencies"] if not e["backend_fn"]]
        assert asked
    for one in asked:
        body = {"data": [], "fn_index": one, "session_hash": "x"}
        assert visitor.http.post(gate.JOIN, json=body).status_code == 400
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("Generator", [TYPED]),
        ("Generator", TYPED),
        ("Generator", {"a": TYPED}),
        ("Generator", 7),
        ("Data set name", [TYPED]),
        ("Data set name", {"a": TYPED}),
        ("Data set name", 7),
        ("Data set name", f"{TYPED} \ud800"),
        ("A selected image goes on itself, once", TYPED),
        ("Samples", [1, 2]),
        ("Samples", float("nan")),
    ],
    ids=ascii,
)
def test_what_a_field_does_not_take_leaves_no_trace(visitor, home, label, value, capfd):
    event = visitor.events()["start"]
    parts = [visitor._part(number) for number in event["inputs"]]
    assert label in [part.get("label") for part in parts]
    data = [value if part.get("label") == label else part.get("value") for part in parts]
    body = {"data": data, "fn_index": event["id"], "session_hash": "x"}
    answer = visitor.http.post(gate.JOIN, content=json.dumps(body).encode())
    assert answer.status_code == 400 and TYPED not in answer.text
    told = "".join(capfd.readouterr())
    assert TYPED not in told and "Traceback" not in told
    assert list(home.glob("runs/*")) == []


@pytest.mark.parametrize("text", ["a\x00b", "\x1b[31m", "a\nb", "💥" * 100, "9" * 5000, "1e999"])
def test_any_text_in_a_field_ends_in_a_sentence(visitor, text, capfd):
    for label in ("Data set name", "Samples", "Look-ahead", "Threshold H", "Classes"):
        given = {"Data set name": "d", "Iterations": "x"} | {label: text}
        said = visitor.call(visitor.events()["start"], source={"kind": "example"}, values=given)
        assert 'role="alert"' in said[-1][1][-1]
    assert "Traceback" not in capfd.readouterr().err


def test_too_many_or_too_few_values_are_refused(visitor):
    for event in visitor.events().values():
        data = [None] * (len(event["inputs"]) + 1)
        for wrong in (data, data[:-2] if len(data) > 1 else data):
            body = {"data": wrong, "fn_index": event["id"], "session_hash": "x"}
            assert visitor.http.post(gate.JOIN, json=body).status_code == 400
