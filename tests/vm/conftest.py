"""Fixtures: virtual machines, and figures that are printed at the end."""

import contextlib
import os
import shutil
import tempfile

import pytest

import guest  # noqa: F401  (where the modules of the other suites are)
import machine
import namespace

FLAVOURS = ("debian", "systemd", "micro")
LIVE = []
FIGURES = []


@contextlib.contextmanager
def running(folder, flavour, **options):
    """A machine with a fresh copy of that image, switched on.

    One at a time: it takes the ports of the host.
    """
    image = os.path.join(machine.TOP, "build", "rootfs", f"{flavour}.ext4")
    made = machine.Machine(tempfile.mkdtemp(dir=folder), image, **options)
    LIVE.append(made)
    try:
        made.boot()
        yield made
    finally:
        LIVE.remove(made)
        made.remove()


@pytest.fixture(scope="session", autouse=True)
def host():
    """The host's side: an accelerator, and a loopback interface that is up."""
    namespace.loopback_up()
    os.environ["VM_ACCEL"] = machine.accelerator()
    FIGURES.append(f"accelerator: {os.environ['VM_ACCEL']}")


@pytest.fixture(scope="session")
def folder():
    """Where disks and memory are: not in memory, for they are large."""
    path = tempfile.mkdtemp(prefix="run-", dir=machine.BUILD)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def debian(folder):
    """A machine that the tests of a module share and leave as it was."""
    with running(folder, "debian") as made:
        made.await_answer()
        yield made


@pytest.fixture
def own_debian(folder):
    """A machine of the test's own."""
    with running(folder, "debian") as made:
        made.await_answer()
        yield made


@pytest.fixture
def sandbox(folder):
    """A machine of the test's own that is a sandbox, with its host's services."""
    with running(folder, "debian", sandbox=True) as made:
        made.tell(instanceID="sandbox-1", envID="template-1",
                  address=f"http://{machine.COLLECTOR}/logs")
        made.await_answer()
        yield made


@pytest.fixture
def small_debian(folder):
    """A machine of the test's own, with memory that is soon used up."""
    with running(folder, "debian", memory=256) as made:
        made.await_answer()
        yield made


@pytest.fixture(scope="session")
def figure():
    """A function that keeps a line for the end."""
    return FIGURES.append


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for each in LIVE:
            report.sections.append((f"console of {each.disk}", each.console()[-4000:]))
    return report


def pytest_terminal_summary(terminalreporter):
    for line in FIGURES:
        terminalreporter.write_line(f"figure: {line}")
    counts = {kind: len(terminalreporter.stats.get(kind, []))
              for kind in ("passed", "failed", "error", "skipped")}
    terminalreporter.write_line(f"{counts['passed']} passed, {counts['failed'] + counts['error']} failed"
                                + (f", {counts['skipped']} skipped" if counts["skipped"] else ""))
