"""ListDir in pages."""

import os
import random

import pytest

import rpc

pytestmark = pytest.mark.ours


def pages(path, size, **members):
    """All pages of a listing, as lists of paths relative to it."""
    found, token = [], ""
    while True:
        body = rpc.must("Filesystem/ListDir",
                        {"path": path, "pageSize": size, "pageToken": token, **members})
        found.append([os.path.relpath(e["path"], path) for e in body.get("entries", [])])
        token = body.get("nextPageToken", "")
        if not token:
            return found


def whole(path, **members):
    body = rpc.must("Filesystem/ListDir", {"path": path, **members})
    assert "nextPageToken" not in body
    return [os.path.relpath(e["path"], path) for e in body.get("entries", [])]


@pytest.fixture
def tree(scratch):
    for name in ("a/a/a", "a/b", "a-b/c", "a.b", "b/a", "b/ä/z", "b!/x", "empty"):
        os.makedirs(f"{scratch}/{name}")
    for name in ("a/f", "a/a/g", "a-b/c/1", "b/ä/0", "zz", "a0"):
        open(f"{scratch}/{name}", "w").close()
    os.symlink("a", f"{scratch}/b/link")
    return scratch


@pytest.mark.parametrize("depth", [1, 2, 3, 9])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pages_are_the_listing(tree, depth, size):
    everything = whole(tree, depth=depth)
    found = pages(tree, size, depth=depth)
    assert sum(found, []) == everything
    assert all(len(page) == size for page in found[:-1]) and found[-1]


def test_the_root(tree):
    assert sum(pages("/", 5), []) == whole("/")
    first = rpc.must("Filesystem/ListDir", {"path": "/", "depth": 2, "pageSize": 30})
    second = rpc.must("Filesystem/ListDir", {"path": "/", "depth": 2, "pageSize": 1,
                                             "pageToken": first["nextPageToken"]})
    names = [e["path"] for e in first["entries"] + second["entries"]]
    assert len(set(names)) == 31


def test_exactly_full(scratch):
    for i in range(4):
        open(f"{scratch}/{i}", "w").close()
    assert [len(p) for p in pages(scratch, 4)] == [4]
    assert [len(p) for p in pages(scratch, 2)] == [2, 2]


def test_empty_directory(scratch):
    assert rpc.must("Filesystem/ListDir", {"path": scratch, "pageSize": 3}) == {}


def test_names_that_are_not_utf_8(scratch):
    for name in (b"a", b"\xff1", b"\xff2", b"\xfe"):
        open(os.fsencode(scratch) + b"/" + name, "wb").close()
    assert [len(p) for p in pages(scratch, 1)] == [1, 1, 1, 1]


def test_the_tree_changes_between_pages(tree):
    first = rpc.must("Filesystem/ListDir", {"path": tree, "depth": 9, "pageSize": 3})
    last = first["entries"][-1]["path"]
    assert last == f"{tree}/a/a/a"
    os.rmdir(last)
    os.remove(f"{tree}/a/a/g")
    os.rmdir(f"{tree}/a/a")
    open(f"{tree}/a/a", "w").close()  # what was a directory on the way
    os.mkdir(f"{tree}/a/aa")
    rest = rpc.must("Filesystem/ListDir", {"path": tree, "depth": 9,
                                           "pageToken": first["nextPageToken"]})
    names = [os.path.relpath(e["path"], tree) for e in rest["entries"]]
    everything = whole(tree, depth=9)
    assert names == everything[everything.index("a/aa"):]


def test_another_depth_for_the_next_page(tree):
    first = rpc.must("Filesystem/ListDir", {"path": tree, "depth": 9, "pageSize": 2})
    assert first["entries"][-1]["path"] == f"{tree}/a/a"
    rest = rpc.must("Filesystem/ListDir", {"path": tree, "depth": 1,
                                           "pageToken": first["nextPageToken"]})
    assert [e["name"] for e in rest["entries"]] == whole(tree)[whole(tree).index("a") + 1:]


@pytest.mark.parametrize("token", ["!", "=", "A", "aaaaa", " "])
def test_rubbish_tokens(scratch, token):
    rpc.refused("Filesystem/ListDir", {"path": scratch, "pageToken": token},
                "invalid_argument", "invalid page_token")


def test_a_page_is_bounded(scratch):
    for i in range(10_003):
        os.close(os.open(f"{scratch}/{i:05}", os.O_CREAT, 0o600))
    assert [len(p) for p in pages(scratch, 4_000_000_000)] == [10_000, 3]
    assert len(whole(scratch)) == 10_003


def test_random_trees(scratch):
    chance = random.Random(7)
    for _ in range(150):
        parts = [chance.choice(["a", "b", "a.", "a-", "z", "aa"]) for _ in range(
            chance.randrange(1, 5))]
        os.makedirs(os.path.join(scratch, *parts), exist_ok=True)
    everything = whole(scratch, depth=5)
    for size in (1, 4, 50):
        assert sum(pages(scratch, size, depth=5), []) == everything
