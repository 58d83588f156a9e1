"""Trees to bake into, and the closing line that tests/run reads."""

import os
import subprocess

import pytest
import trees

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AGENT = os.environ["ENVD_BIN"]
ROOT = "FAKEROOTKEY" not in os.environ  # tests/rootfs/run sees to either


class Baker:
    def __init__(self, tree):
        self.tree = tree

    def __call__(self, *words, tree=None, check=True):
        done = subprocess.run(
            [f"{TOP}/rootfs/bake", *([] if "--remove" in words else ["--binary", AGENT]),
             *words, str(tree or self.tree)],
            capture_output=True, text=True, timeout=60, check=False)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def text(self, path):
        return (self.tree / path).read_text()

    def lines(self, path):
        return self.text(path).splitlines()


@pytest.fixture
def bake(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    return Baker(tree)


@pytest.fixture(params=sorted(trees.ALL))
def any_tree(request, bake):
    trees.ALL[request.param](bake.tree)
    return bake


def make(kind):
    @pytest.fixture
    def tree(bake):
        trees.ALL[kind](bake.tree)
        return bake
    return tree


debian, fedora, alpine, busybox, empty = map(
    make, ("debian", "fedora", "alpine", "busybox", "empty"))


def pytest_terminal_summary(terminalreporter):
    stats = {kind: len(terminalreporter.stats.get(kind, [])) for kind in
             ("passed", "failed", "error", "skipped")}
    terminalreporter.write_line(
        f"{stats['passed']} passed, {stats['failed'] + stats['error']} failed"
        + (f", {stats['skipped']} skipped" if stats["skipped"] else ""))
