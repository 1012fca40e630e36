"""The attack in short: some hundred cases of one seed, in this process, of every kind but kills.

A kill has a test in training/test_resume.py; `python -m tests.attack` is the whole, in processes apart.
"""

import pytest

from tests.attack import runs
from tests.attack.attacking import Attack, make
from tests.attack.case import Case
from tests.attack.child import Child
from tests.attack.kinds import KINDS
from tests.attack.place import Place
from tests.serving.helpers import running_server

SEED = 1
# The first numbers of a kind are its fixed cases, which have tests of their own.
SHORT = {
    "requests": range(1000, 1100),
    "clients": range(4),
    "pictures": range(28, 88),
    "bombs": range(3, 60, 11),
    "responses": range(1000, 1040),
    "weights": range(1000, 1060),
    "datasets": range(1, 21),
    "runs": runs.SHORT[7:27],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    server = running_server()
    return Place(str(tmp_path_factory.mktemp("attack")), server.grpc, server.rest, server.process.pid)


@pytest.mark.parametrize("name", SHORT)
def test_what_a_stranger_sends_is_answered_or_refused(place, name, tmp_path):
    row = Attack(place, None, tmp_path).run(name, SEED, SHORT[name])
    assert row.failed == 0 and row.tried == len(SHORT[name]), row


@pytest.mark.long
@pytest.mark.parametrize("name", KINDS)
def test_so_it_is_in_the_whole_attack(place, name, tmp_path):
    with Child(place) as child:
        assert Attack(place, child, tmp_path).run(name, SEED, range(KINDS[name].COUNT)).failed == 0


@pytest.mark.parametrize("name", ["pictures", "requests", "responses", "weights", "datasets"])
def test_a_case_follows_from_the_seed_and_its_number(name):
    number = 1003
    assert make(name, SEED, number).contents == make(name, SEED, number).contents
    assert make(name, SEED, number).contents != make(name, SEED + 1, number).contents


class Broken:
    """A kind whose cases go wrong in the way that they say."""

    IN_CHILD, NEEDS_SERVER, COUNT, SECONDS = False, False, 1, 1.0

    @staticmethod
    def case(random, number):
        return Case("broken", b"contents", ".bin")

    @staticmethod
    def ask(case, place):
        raise RuntimeError("as broken")


def test_a_case_that_fails_is_counted_told_and_saved(place, tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, "broken", Broken)
    lines = []
    attack = Attack(place, None, tmp_path, report=lines.append)
    assert attack.run("broken", 5, range(3, 5)).failed == 2
    assert "RuntimeError: as broken" in lines[0]
    assert (tmp_path / "broken-5-3.bin").read_bytes() == b"contents"
    assert attack.again("broken", tmp_path / "broken-5-3.bin").outcome == "failed"
