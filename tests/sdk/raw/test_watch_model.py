"""What is announced, replayed on a model, against a walk of the tree as it is."""

import multiprocessing
import os
import shutil
import subprocess

import pytest

from test_files_change import plant
from watching import MARKER, short

pytestmark = pytest.mark.ours


def walk(root):
    """All that is below the root, as relative names, but for markers."""
    return {os.path.relpath(os.path.join(folder, name), root)
            for folder, folders, files in os.walk(root) for name in folders + files
            if not name.startswith(MARKER)}


class Model:
    """The names a client knows of, by what it was told."""

    def __init__(self, root):
        self.names = set()
        self._below = {}  # folder to its entries
        self._moving = {}  # what renaming took away, by cookie
        for name in walk(root):
            self._add(name)
        self.created = {}
        self.rescanned = 0

    def _add(self, name):
        self.names.add(name)
        self._below.setdefault(os.path.dirname(name), set()).add(name)

    def _take(self, name):
        """Remove it with all below; gives what followed its name in each."""
        taken, todo = [], [name]
        while todo:
            each = todo.pop()
            todo += self._below.pop(each, ())
            taken.append(each[len(name):])
            self.names.discard(each)
        self._below.get(os.path.dirname(name), set()).discard(name)
        return taken

    def apply(self, event):
        kind, name = short(event).split(" ", 1)
        self.rescanned += event.get("rescanned", False)
        if kind == "CREATE":
            self._take(name)  # what a rename has replaced
            # A directory that is renamed keeps what is in it, untold.
            for rest in self._moving.pop(event.get("cookie"), [""]):
                self._add(name + rest)
            self.created[name] = self.created.get(name, 0) + 1
        elif kind == "RENAME":
            self._moving[event["cookie"]] = self._take(name)
        elif kind == "REMOVE":
            self._take(name)

    def follow(self, seen, root):
        """Read events until the model is the tree; then nothing more may come."""
        def caught_up(_):
            for event in seen.events:
                self.apply(event)
            seen.events = []
            return self.names == tree

        tree = walk(root)
        try:
            seen.until(caught_up)
        except (AssertionError, TimeoutError):
            pytest.fail(f"missing {sorted(tree - self.names)[:20]}, "
                        f"too many {sorted(self.names - tree)[:20]}")
        for event in seen.since(root):
            self.apply(event)
        assert self.names == tree


def package(root, name, files):
    """What an installer does for one package: unpack aside, rename into place."""
    staged = f"node_modules/.staging/{name.replace('/', '-')}-1a2b3c"
    plant(root, *[f"{staged}/{file}" for file in files])
    target = f"{root}/node_modules/{name}"
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.rename(f"{root}/{staged}", target)


def install(root):
    files = ["package.json", "index.js", "lib/a.js", "lib/deep/er/b.js", "test/"]
    for n in range(80):
        package(root, f"@scope{n % 5}/p{n}" if n % 3 == 0 else f"p{n}", files)
        package(root, f"p{n}/node_modules/inner", files) if n % 7 == 1 else None
    os.makedirs(f"{root}/node_modules/.bin")
    for n in range(0, 80, 4):
        os.symlink(f"../p{n}/index.js", f"{root}/node_modules/.bin/p{n}")
    shutil.rmtree(f"{root}/node_modules/.staging")


def nested(root):
    plant(root, *[f"{a}/{b}/{c}/file{d}" for a in range(6) for b in range(6) for c in range(6)
                  for d in range(4)])


def write_and_remove(root):
    nested(root)
    for n in range(0, 6, 2):
        shutil.rmtree(f"{root}/{n}/{n}")
        os.rename(f"{root}/{n}/1/1/file1", f"{root}/{n}/moved")


def copy(root, source):
    nested(source)
    subprocess.run(["cp", "-r", source, f"{root}/copy"], check=True)


def clone(root, source):
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@y", "-c", "commit.gpgsign=false"]
    nested(source)
    subprocess.run([*git, "init", "-q", source], check=True)
    subprocess.run([*git, "-C", source, "add", "."], check=True)
    subprocess.run([*git, "-C", source, "commit", "-q", "-m", "x"], check=True)
    subprocess.run([*git, "clone", "-q", source, f"{root}/clone"], check=True)


@pytest.fixture
def trees(scratch):
    plant(scratch, "root/", "source/")
    return f"{scratch}/root", f"{scratch}/source"


def test_copy_of_a_tree(trees, watch):
    root, source = trees
    seen, model = watch(root, recursive=True), Model(root)
    copy(root, source)
    model.follow(seen, root)
    assert set(model.created.values()) == {1}, "each entry is announced once"


@pytest.mark.skipif(not shutil.which("git"), reason="no git here")
def test_clone_of_a_repository(trees, watch):
    root, source = trees
    seen, model = watch(root, recursive=True), Model(root)
    clone(root, source)
    model.follow(seen, root)


def test_install_of_packages(trees, watch):
    root, _ = trees
    seen, model = watch(root, recursive=True), Model(root)
    install(root)
    model.follow(seen, root)
    shutil.move(f"{root}/node_modules", f"{root}/moved")
    shutil.rmtree(f"{root}/moved/p1")
    install(root)
    model.follow(seen, root)


def test_chains_of_directories(trees, watch):
    root, _ = trees
    seen, model = watch(root, recursive=True), Model(root)
    plant(root, *[f"{n}/a/b/c/d/e/f/g/file" for n in range(2000)])
    model.follow(seen, root)
    assert len(model.created) == 18_000
    assert set(model.created.values()) == {1}, "each entry is announced once"


def test_burst_of_files(trees, watch):
    root, _ = trees
    seen, model = watch(root, recursive=True), Model(root)
    for n in range(20_000):
        os.close(os.open(f"{root}/{n}", os.O_CREAT | os.O_WRONLY))
    model.follow(seen, root)
    assert model.created == {str(n): 1 for n in range(20_000)}


def test_several_writers(trees, watch):
    root, _ = trees
    seen, model = watch(root, recursive=True), Model(root)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        pool.map(write_and_remove, [f"{root}/{n}" for n in range(3)])
    model.follow(seen, root)


def test_nobody_reads_for_a_while(trees, watch):
    """More than any queue takes: what the tree has become is told, and marked."""
    root, _ = trees
    plant(root, "gone/x", "0", "1", "2", "kept/")
    seen, model = watch(root, recursive=True), Model(root)
    for n in range(150_000):
        name = f"a-name-of-some-length-that-takes-its-room-in-a-queue-{n:06}"
        os.link(f"{root}/{n % 3}", f"{root}/kept/{name}")
    shutil.rmtree(f"{root}/gone")
    model.follow(seen, root)
    assert model.rescanned > 0
