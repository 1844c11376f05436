"""What an account of a shared server can tell of others who have the same images: nothing."""

import time
from contextlib import closing
from secrets import token_hex

import pytest
from loops import in_event_loop
from over_http import Visitor, serving
from test_isolation import send_upload
from visitors import ACCOUNTS, local_app

from pe_engine.jobs import JobManager
from pe_engine.privacy.ledger import Ledger
from pe_engine.ui.login import PasswordLogin
from pe_engine.ui.server import build_app

RUN = {"Iterations": "1", "Samples": "30", "ε (epsilon)": "5", "Cap on ε": "5"}
NAMES = {"ann": "scans", "bob": "scans", "cleo": "another name"}
"""The accounts, by turns, and what each calls the same images."""


def what_they_see(visitor, digits, name):
    """The end of a run with a cap, and what is said to a second one, which the cap refuses."""
    said = []
    for _ in range(2):
        source = {"kind": "upload", "token": send_upload(visitor, digits)}
        event = visitor.events()["start"]
        answer = visitor.call(event, source=source, values=RUN | {"Data set name": name})
        run_id, *_, problem = answer[-1][1]
        said.append(problem.replace(name, "NAME"))
        if run_id:
            said.append(how_it_ends(visitor, run_id))
    return said


def how_it_ends(visitor, run_id):
    while True:
        visitor.session = token_hex(8)  # a new tab, which is told the state at once
        view = visitor.call(visitor.events()["attach"], 3, event_data={"run_id": run_id})[0][1][0]
        if view["status"] in ("done", "failed"):
            return view["status"], view["error"]
        time.sleep(0.5)


@pytest.fixture
def seen(tmp_path, digits, request):
    """What each account sees; the first one is alone on the server."""
    if request.param == "shared":
        request.getfixturevalue("monkeypatch").setattr(
            JobManager, "_ledger_of", lambda self, _: self._ledger
        )
    login = PasswordLogin(ACCOUNTS | {"cleo": "third secret"})
    app = in_event_loop(lambda: build_app(tmp_path, "0.0.0.0", login))
    passwords = ACCOUNTS | {"cleo": "third secret"}
    seen = {}
    with serving(app) as address:
        for account, name in NAMES.items():
            visitor = Visitor(address, (account, passwords[account]))
            with closing(visitor.http):
                seen[account] = what_they_see(visitor, digits, name)
    return seen


@pytest.mark.parametrize("seen", ["apart"], indirect=True)
def test_the_same_images_and_a_cap_tell_nothing_of_another_account(seen):
    begun, done, refused = seen["ann"]
    assert (begun, done) == ("", ("done", "")) and "ε = 5 is spent or reserved" in refused
    assert seen["bob"] == seen["cleo"] == seen["ann"]


@pytest.mark.parametrize("seen", ["shared"], indirect=True)
def test_a_ledger_that_is_shared_would_be_noticed(seen):
    assert seen["bob"] != seen["ann"] != seen["cleo"]


def test_who_has_no_key_learns_and_changes_nothing_of_the_owners_ledger(tmp_path, digits):
    """Another account of the machine, with the same images and a cap of its own."""
    app = local_app(tmp_path)
    with serving(app) as address:
        owner, other = (Visitor(address, None, place) for place in (app.state.address, "/"))
        with closing(owner.http), closing(other.http):
            assert what_they_see(owner, digits, "scans")[-1].startswith("<p")
            (before,) = Ledger(tmp_path).datasets()
            begun, done, refused = what_they_see(other, digits, "scans")
    assert (begun, done) == ("", ("done", "")) and "ε = 5 is spent or reserved" in refused
    assert Ledger(tmp_path).datasets() == [before]
    assert before.generations == 1
