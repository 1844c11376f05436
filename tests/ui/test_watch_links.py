"""A link to a run: who has it watches, and does nothing else."""

from dataclasses import replace

import httpx
import pytest
from loops import awaited
from over_http import Visitor, serving
from test_isolation import NO_RUN, QUICK, start, until
from visitors import ACCOUNTS, local_app, shared_app

from pe_engine.boundary import ERROR_OF_ANOTHER
from pe_engine.config import RunConfig
from pe_engine.jobs import JobManager
from pe_engine.snapshot import Status
from pe_engine.titles import write_title
from pe_engine.ui.identity import identity
from pe_engine.ui.viewers import Viewers
from pe_engine.ui.watch_links import FILE, MOST_KEPT, link_to

SMALL = RunConfig(dataset_name="x", iterations=1, num_samples=(30,), lookahead=0, epsilon=5.0)


@pytest.fixture(scope="module", params=["local", "accounts"])
def shared(request, tmp_path_factory):
    """The owner of a finished run, and somebody else."""
    home = tmp_path_factory.mktemp("home")
    app = local_app(home) if request.param == "local" else shared_app(home)
    who = ACCOUNTS.items() if request.param == "accounts" else [None, None]
    with serving(app) as address:
        mine, other = (
            Visitor(address, *each) for each in zip(who, (app.state.address, "/"), strict=True)
        )
        run_id = start(mine, {"kind": "example"}, QUICK)
        until(lambda: mine.http.get(f"/runs/{run_id}/synthetic.zip").is_success)
        yield mine, other, run_id, home
        mine.http.close(), other.http.close()


def test_a_link_shows_the_run_and_lets_nobody_steer(shared):
    mine, other, run_id, home = shared
    zipped = f"/runs/{run_id}/synthetic.zip"
    assert other.http.get(zipped).status_code == 404
    address = mine.http.post(f"/runs/{run_id}/link").json()["address"]
    assert mine.http.post(f"/runs/{run_id}/link").json()["address"] == address
    assert (home / "runs" / run_id / "watch.key").stat().st_mode & 0o777 == 0o600
    answer = other.http.get(address, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/?run={run_id}")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert other.http.get(zipped).is_success
    reads = ("gallery/1.json", "images/1/0.png", "votes/1.png", "curves.json", "report.html")
    assert all(other.http.get(f"/runs/{run_id}/{place}").is_success for place in reads)
    view = other.call(other.events()["attach"], event_data={"run_id": run_id})[-1][1][0]
    assert view["watching"] and view["status"] == "done"
    assert "handwriting" not in str(view)  # the name of the private images
    own = mine.call(mine.events()["attach"], event_data={"run_id": run_id})[-1][1][0]
    assert own["shared"] and not own["watching"]
    for method, place in (
        ("POST", "stop"),
        ("POST", "finish"),
        ("POST", "sooner"),
        ("PUT", "title"),
        ("DELETE", ""),
        ("POST", "link"),
        ("DELETE", "link"),
        ("GET", "command.json"),
    ):
        path = f"/runs/{run_id}/{place}".rstrip("/")
        assert other.http.request(method, path, json={"title": "x"}).status_code == 404, place
    for name in ("stop", "resume", "delete"):
        answer = other.call(other.events()[name], event_data={"run_id": run_id})
        assert "no such run" in str(answer)
    assert run_id not in other.http.get("/runs").text


def test_a_link_ends(shared):
    mine, other, run_id, _ = shared
    address = mine.http.post(f"/runs/{run_id}/link").json()["address"]
    assert other.http.get(address).is_success
    zipped = f"/runs/{run_id}/synthetic.zip"
    assert other.http.get(zipped).is_success
    assert mine.http.delete(f"/runs/{run_id}/link").is_success
    assert other.http.get(zipped).status_code == 404
    again = mine.http.post(f"/runs/{run_id}/link").json()["address"]
    assert again != address and other.http.get(zipped).status_code == 404


def test_a_wrong_token_shows_nothing(shared):
    mine, other, run_id, _ = shared
    mine.http.post(f"/runs/{run_id}/link")
    for token in ("0" * 32, "", "x", "0" * 31):
        other.http.get("/", params={"run": run_id, "watch": token})
        theirs = other.http.get(f"/runs/{run_id}/synthetic.zip")
        none = other.http.get(f"/runs/{NO_RUN}/synthetic.zip")
        assert theirs.status_code == none.status_code == 404 and theirs.text == none.text


def test_who_is_not_known_watches_nothing(shared):
    mine, _, run_id, _ = shared
    address = mine.http.post(f"/runs/{run_id}/link").json()["address"]
    answer = httpx.get(mine.address + address)
    cookies = {"Cookie": answer.headers.get("set-cookie", "").partition(";")[0]}
    zipped = httpx.get(f"{mine.address}/runs/{run_id}/synthetic.zip", headers=cookies)
    assert zipped.status_code in (401, 404)


def test_the_link_is_kept_while_somebody_logs_in(shared):
    mine, other, run_id, _ = shared
    address = mine.http.post(f"/runs/{run_id}/link").json()["address"]
    with httpx.Client(base_url=mine.address, follow_redirects=True) as late:
        place = late.get(address)
        if other.account:
            assert place.url.path == "/login"
            name, password = other.account
            late.post("/login", data={"name": name, "password": password, "run": run_id})
        assert late.get(f"/runs/{run_id}/synthetic.zip").is_success


def test_a_browser_keeps_the_newest_links(shared):
    other = shared[1]
    for number in range(MOST_KEPT + 3):
        query = {"run": f"{number:032x}", "watch": "0" * 32}
        other.http.get("/", params=query, follow_redirects=False)
    kept = next(v for name, v in other.http.cookies.items() if name.startswith("pe-watch"))
    assert len(kept.split("-")) == MOST_KEPT and kept.startswith(f"{3:032x}.")


def test_who_watches_is_not_told_what_went_wrong(tmp_path, digits):
    manager = JobManager(tmp_path)
    mine, other = identity("browser", "mine"), identity("browser", "other")
    run = manager.submit(SMALL, digits, owner=mine.owner)
    assert run.wait(60).status is Status.DONE
    link_to(run.folder, run.run_id)
    other = replace(other, watches=((run.run_id, (run.folder / FILE).read_text()),))
    write_title(run.folder, "Ward 7")
    run._publish(error="A file of /home/me/patients is damaged.")

    async def error_for(who):
        views = Viewers(manager, owner=True).attach(who, "tab", run.run_id)
        return [(view["watching"], view["name"], view["error"]) async for view in views]

    assert awaited(error_for(other)) == [(True, "", ERROR_OF_ANOTHER)]
    assert awaited(error_for(mine)) == [(False, "Ward 7", run.snapshot.error)]
    manager.close()
