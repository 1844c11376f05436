"""The server over HTTP: who may ask, what is answered, what is never answered."""

import io
import re
import shutil
import socket
import struct
import zipfile
from urllib.parse import urlsplit

import pytest
from over_http import serving
from PIL import Image
from visitors import local_app, local_client, shared_app, shared_client

from pe_engine.config import RunConfig
from pe_engine.jobs import JobManager
from pe_engine.ownership import write_owner
from pe_engine.ui.caps import Caps
from pe_engine.ui.house import House
from pe_engine.ui.identity import identity
from pe_engine.ui.server import MAX_SESSIONS

FRAME = struct.pack("<HI", 5, 1) + b"a.png1"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def run_id(home, digits):
    """A finished run of an earlier server."""
    return finished(home, digits)


def finished(home, source, **changes):
    manager = JobManager(home)
    config = {"dataset_name": "digits", "iterations": 2, "num_samples": (30,), "lookahead": 0}
    run = manager.submit(RunConfig(**config | {"epsilon": 5.0} | changes), source)
    assert run.wait(120).error == ""
    manager.close()
    return run.run_id


@pytest.fixture(scope="module")
def client(home, run_id):
    with local_client(local_app(home)) as client:
        yield client


def test_the_page_may_talk_to_its_own_server_only(client):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "connect-src 'self'" in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert not re.search(r'(src|href)="(https?:)?//', answer.text)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:7860"},
    ],
)
@pytest.mark.parametrize("path", ["/uploads", "/gradio_api/queue/join"])
def test_another_page_may_change_nothing(client, path, headers):
    answer = client.post(path, headers=headers, json={})
    assert answer.status_code == 403
    assert "another web page" in answer.json()["detail"]


def test_the_own_page_may(client):
    assert client.post("/uploads", headers={"origin": "http://127.0.0.1:7860"}).status_code == 200
    assert client.post("/uploads", headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_a_foreign_name_for_this_machine_is_refused(client, home):
    for path in ("/", "/theme.css"):
        assert client.get(path, headers={"host": "evil.example"}).status_code == 403
    assert client.get("/", headers={"host": "localhost:7860"}).status_code == 200


@pytest.mark.parametrize("kind", [local_app, shared_app])
def test_a_header_that_cannot_be_read_is_refused(kind, tmp_path):
    with serving(kind(tmp_path)) as address:
        place = urlsplit(address)
        heads = [f"POST /uploads HTTP/1.1\r\nHost: {place.netloc}\r\nOrigin: http://[\r\n"]
        for host in ("[", "[[", "a][", "[:::::]", "a b", "127.0.0.1:99999", "x@y"):
            heads.append(f"GET / HTTP/1.1\r\nHost: {host}\r\n")
        for head in heads:  # over a bare socket, because no client sends such a thing
            with socket.create_connection((place.hostname, place.port)) as connection:
                connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
                answer = connection.makefile("rb").read().decode("latin-1")
            assert answer.split()[1] in ("400", "403"), answer
            assert "x-content-type-options: nosniff" in answer


def test_no_other_site_may_read_an_answer_of_a_shared_server(tmp_path):
    with shared_client(shared_app(tmp_path)) as shared:
        answer = shared.get("/", headers={"origin": "https://evil.example"})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
        assert shared.post("/uploads", headers={"origin": "https://evil.example"}).is_error
        assert shared.post("/uploads", headers={"origin": "http://studio.example"}).is_success


def test_the_page_says_where_images_are_kept(client, tmp_path):
    own = client.get("/").text
    assert "They stay on this computer" in own and "PLACE" not in own
    with shared_client(shared_app(tmp_path)) as shared:
        page = shared.get("/").text
    assert "They stay on the server" in page and "this computer" not in page


def test_a_shared_server_takes_fewer_files(tmp_path, monkeypatch):
    monkeypatch.setattr("pe_engine.ui.server.SHARED", House(caps=Caps(files=1)))
    with shared_client(shared_app(tmp_path)) as shared:
        token = shared.post("/uploads").json()["token"]
        assert shared.post(f"/uploads/{token}/files", content=FRAME).is_success
        answer = shared.post(f"/uploads/{token}/files", content=FRAME.replace(b"a", b"b"))
        assert "more than 1 files" in answer.json()["detail"]


def test_an_upload_and_its_removal(client, home):
    token = client.post("/uploads").json()["token"]
    assert client.post(f"/uploads/{token}/files", content=FRAME).json() == {"files": 1}
    assert client.post(f"/uploads/{token}/finish").status_code == 200
    assert (home / "uploads" / token / "upload.zip").is_file()
    assert client.get(f"/uploads/{token}").status_code in (404, 405)
    client.delete(f"/uploads/{token}")
    assert not (home / "uploads" / token).exists()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/uploads/nonsense/files", FRAME),
        (f"/uploads/{'0' * 32}/files", FRAME),
        (f"/uploads/{'0' * 32}/finish", b""),
    ],
)
def test_an_unknown_upload_is_a_sentence(client, path, body):
    answer = client.post(path, content=body)
    assert answer.status_code == 404
    assert answer.json()["detail"].endswith("again.")


def test_bad_framing_and_too_large_a_batch(client, monkeypatch):
    token = client.post("/uploads").json()["token"]
    answer = client.post(f"/uploads/{token}/files", content=FRAME[:-1])
    assert (answer.status_code, "incomplete" in answer.text) == (400, True)
    monkeypatch.setattr("pe_engine.ui.upload_routes.MAX_BATCH_BYTES", 100)
    assert client.post(f"/uploads/{token}/files", content=b"x" * 101).status_code == 413


def test_a_finished_run_is_shown(client, run_id):
    gallery = client.get(f"/runs/{run_id}/gallery/2.json").json()
    assert [row["name"] for row in gallery["rows"]] == ["0", "1", "2"]
    assert [len(row["indices"]) for row in gallery["rows"]] == [10, 10, 10]
    image = client.get(f"/runs/{run_id}/images/2/{gallery['rows'][1]['indices'][0]}.png")
    assert image.headers["cache-control"].startswith("private")
    assert Image.open(io.BytesIO(image.content)).size == (28, 28)
    light = client.get(f"/runs/{run_id}/votes/1.png")
    dark = client.get(f"/runs/{run_id}/votes/1.png?theme=dark")
    assert light.content != dark.content
    assert {light.headers["content-type"], dark.headers["content-type"]} == {"image/png"}


def test_a_gallery_is_sorted_by_votes_and_turned_page_by_page(client, run_id, home):
    address = f"/runs/{run_id}/gallery"
    for generation, basis in ((0, "own"), (1, "own"), (2, "parents")):
        gallery = client.get(f"{address}/{generation}.json").json()
        assert gallery["basis"] == basis and gallery["side"] == 28
        for row in gallery["rows"]:
            assert row["votes"] == sorted(row["votes"], reverse=True)
    made = client.get(f"{address}/1.json?order=made").json()
    assert made["rows"][0]["indices"] == list(range(10))
    one = client.get(f"{address}/1.json?order=made&row=1&page=7").json()["rows"]
    assert [row["indices"] for row in one] == [list(range(10, 20))]
    for row in (-1, 3):
        assert client.get(f"{address}/1.json?row={row}").json()["rows"] == []
    assert client.get(f"{address}/1.json?order=private").status_code == 422


def test_a_family_leads_back_to_generation_0(client, run_id):
    address = f"/runs/{run_id}/family"
    told = client.get(f"{address}/2/4.json").json()
    assert [g for g, _ in told["ancestors"]] == [0, 1]
    assert (told["class"], told["basis"], told["children"]) == ("0", "parents", [])
    parent = client.get(f"{address}/1/{told['ancestors'][1][1]}.json").json()
    assert [2, 4] in parent["children"]
    assert parent["children_in_all"] == told["siblings_in_all"] + 1
    picture = client.get(f"{address}/2/4.png")
    assert Image.open(io.BytesIO(picture.content)).format == "PNG"
    assert picture.headers["cache-control"] == "no-store"
    for tail in ("3/0.json", "3/0.png", "2/30.json", "2/30.png", "2/-1.json"):
        answer = client.get(f"{address}/{tail}")
        assert answer.status_code == 404 and answer.json()["detail"].endswith(".")


def test_curves_tell_how_many_parents_there_were(client, run_id):
    told = client.get(f"/runs/{run_id}/curves.json").json()
    assert [point["generation"] for point in told["parents"]] == [1, 2]
    for point in told["parents"]:
        assert point["of"] == 30 and 3 <= point["effective"] <= 30 and not point["few"]
    assert told["said"].startswith("The votes for generation 1 chose as evenly as ")


def test_a_run_at_rest_has_no_preview(client, run_id):
    answer = client.get(f"/runs/{run_id}/preview.png")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "Nothing of this run is being made now."


def renamed(digits, target, names):
    """The digits with these class names instead of 0, 1, 2."""
    with zipfile.ZipFile(digits) as source, zipfile.ZipFile(target, "w") as zipped:
        for name in source.namelist():
            zipped.writestr(names[int(name[0])] + name[1:], source.read(name))
    return target


@pytest.mark.parametrize(
    ("public", "shown"), [(True, ["anna", "bert", "carl"]), (False, ["0", "1", "2"])]
)
def test_class_names_reach_others_only_where_they_are_public(tmp_path, digits, public, shown):
    source = renamed(digits, tmp_path / "people.zip", ["anna", "bert", "carl"])
    run_id = finished(tmp_path, source, prompts=("A",), iterations=1, public_class_names=public)
    gallery = f"/runs/{run_id}/gallery/1.json"
    write_owner(tmp_path / "runs" / run_id, identity("account", "ann").owner)
    with shared_client(shared_app(tmp_path)) as shared:
        assert [row["name"] for row in shared.get(gallery).json()["rows"]] == shown
    (tmp_path / "runs" / run_id / "owner.json").unlink()  # as one of the command line
    with local_client(local_app(tmp_path)) as own:
        names = [row["name"] for row in own.get(gallery).json()["rows"]]
    assert names == ["anna", "bert", "carl"]


def test_a_run_that_is_deleted_while_it_is_watched(client, home, run_id):
    other = "f" * 32
    shutil.copytree(home / "runs" / run_id, home / "runs" / other)
    assert client.get(f"/runs/{other}/gallery/0.json").is_success
    shutil.rmtree(home / "runs" / other)
    for tail in ("gallery/2.json", "images/2/0.png", "synthetic.zip", "report.html"):
        answer = client.get(f"/runs/{other}/{tail}")
        assert answer.status_code == 404
        assert answer.json()["detail"].endswith(".")


def test_a_full_disk_is_a_sentence(client, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "/secret/place")

    token = client.post("/uploads").json()["token"]
    monkeypatch.setattr("pe_engine.ui.uploads.Uploads.add_files", full)
    answer = client.post(f"/uploads/{token}/files", content=FRAME)
    assert answer.status_code == 507
    assert "No space left on device" in answer.json()["detail"]
    assert "secret" not in answer.text


def test_the_zip_and_the_report_are_not_kept_by_caches(client, run_id):
    answer = client.get(f"/runs/{run_id}/synthetic.zip")
    assert answer.headers["cache-control"] == "no-store"
    assert "attachment" in answer.headers["content-disposition"]
    assert "manifest.json" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    report = client.get(f"/runs/{run_id}/report.html")
    assert report.headers["cache-control"] == "no-store"
    assert report.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "frame-ancestors 'self'" in report.headers["content-security-policy"]
    assert client.get(f"/runs/{run_id}/gallery/0.json").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "tail",
    [
        "gallery/3.json",
        "gallery/-1.json",
        "images/0/30.png",
        "images/0/-1.png",
        "votes/0.png",
        "../../ledger.key",
        "..%2f..%2fledger.key",
        "%2e%2e/%2e%2e/uploads",
    ],
)
def test_nothing_else_of_a_run_is_answered(client, run_id, tail):
    answer = client.get(f"/runs/{run_id}/{tail}")
    assert answer.status_code == 404


@pytest.mark.parametrize("other", ["0" * 32, "..", "%2e%2e", "A" * 32, "0" * 31 + "/"])
def test_an_unknown_run_is_not_found(client, other):
    assert client.get(f"/runs/{other}/synthetic.zip").status_code == 404


def test_who_looks_for_a_run_is_told_where_it_may_be(client, tmp_path):
    address = f"/runs/{'0' * 32}/synthetic.zip"
    assert "another browser started it" in client.get(address).json()["detail"]
    with shared_client(shared_app(tmp_path)) as shared:
        assert "another account started it" in shared.get(address).json()["detail"]


def test_gradio_serves_no_file_of_the_home(client, home, run_id):
    for path in (home / "runs" / run_id / "samples.npz", home / "ledger.key"):
        assert client.get(f"/gradio_api/file={path}").status_code in (403, 404)


def test_no_handler_is_offered_as_an_api(client):
    assert client.get("/gradio_api/info").status_code == 404


def test_the_state_of_few_tabs_is_kept(client):
    """Each takes 0.4 MB, and Gradio would keep 10,000."""
    mounted = [route.app for route in client.app.routes if hasattr(route, "app")]
    holders = [app.state_holder for app in mounted if hasattr(app, "state_holder")]
    assert [holder.capacity for holder in holders] == [MAX_SESSIONS] * 2  # of the page and the API
