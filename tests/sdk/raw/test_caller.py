"""File work is done with the rights of the user who is named."""

import base64
import os
import pwd
import subprocess
from urllib.parse import quote

import pytest

import rpc
from conftest import OWN_PORT
from wire import PORT, exchange

OCTETS = {"Content-Type": "application/octet-stream"}
PLAIN = [entry for entry in pwd.getpwall() if entry.pw_uid not in (0, 65534)]

pytestmark = [pytest.mark.ours,
              pytest.mark.skipif(os.geteuid() != 0 or len(PLAIN) < 2,
                                 reason="needs root and two other users")]


@pytest.fixture
def alice():
    return PLAIN[0]


@pytest.fixture
def mallory():
    return next(entry for entry in PLAIN if entry.pw_uid != PLAIN[0].pw_uid)


@pytest.fixture
def secret(scratch):
    """A folder that root alone may enter, with a file."""
    os.mkdir(f"{scratch}/secret", 0o700)
    with open(f"{scratch}/secret/file", "w", encoding="ascii") as file:
        file.write("secret")
    os.chmod(f"{scratch}/secret/file", 0o600)
    return f"{scratch}/secret"


class As:
    """Requests of one user; each gives (succeeded, code or status, text)."""

    def __init__(self, user, port=PORT):
        self.name, self.port = user.pw_name, port
        basic = base64.b64encode(f"{user.pw_name}:".encode()).decode()
        self.headers = {"Authorization": f"Basic {basic}"}

    def rpc(self, method, **message):
        status, body = rpc.call(f"Filesystem/{method}", message, self.headers, self.port)
        return status == 200, body.get("code"), body.get("message", "")

    def rest(self, method, path, body=b""):
        answer = exchange(method, f"/files?path={quote(path)}&username={self.name}",
                          OCTETS, body, self.port)
        return answer.status == 200, answer.status, answer.body.decode()


# How each is asked for, in a folder that holds `file`.
OPERATIONS = {
    "stat": lambda user, folder: user.rpc("Stat", path=f"{folder}/file"),
    "list": lambda user, folder: user.rpc("ListDir", path=folder),
    "make": lambda user, folder: user.rpc("MakeDir", path=f"{folder}/made/deep"),
    "move": lambda user, folder: user.rpc("Move", source=f"{folder}/file",
                                          destination=f"{folder}/moved"),
    "remove": lambda user, folder: user.rpc("Remove", path=f"{folder}/file"),
    "download": lambda user, folder: user.rest("GET", f"{folder}/file"),
    "overwrite": lambda user, folder: user.rest("POST", f"{folder}/file", b"x" * 10),
    "large": lambda user, folder: user.rest("POST", f"{folder}/file", b"x" * 1000000),
    "create": lambda user, folder: user.rest("POST", f"{folder}/sub/new", b"x" * 1000000),
}


def refused(outcome):
    good, code, text = outcome
    return not good and code in ("permission_denied", 403) and "permission denied" in text


def untouched(secret):
    with open(f"{secret}/file", encoding="ascii") as file:
        content = file.read()
    return os.listdir(secret) == ["file"] and content == "secret" and \
        os.stat(f"{secret}/file").st_uid == 0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_root_helps_out(secret, alice, operation):
    good, _, text = OPERATIONS[operation](As(alice), secret)
    assert good, text
    made = {"make": "made/deep", "overwrite": "file", "large": "file", "create": "sub/new"}
    if operation in made:
        owner = os.stat(f"{secret}/{made[operation]}")
        assert (owner.st_uid, owner.st_gid) == (alice.pw_uid, alice.pw_gid)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_not_when_that_is_turned_off(agent_with, secret, alice, operation):
    agent_with("-file-access=caller")
    assert refused(OPERATIONS[operation](As(alice, OWN_PORT), secret))
    assert untouched(secret)
    good, _, text = OPERATIONS[operation](As(pwd.getpwuid(0), OWN_PORT), secret)
    assert good, text


def test_own_rights_are_enough(agent_with, scratch, alice):
    agent_with("-file-access=caller")
    os.mkdir(f"{scratch}/own")
    os.chown(f"{scratch}/own", alice.pw_uid, alice.pw_gid)
    user = As(alice, OWN_PORT)
    assert user.rest("POST", f"{scratch}/own/file", b"x")[0]
    for operation in OPERATIONS.values():
        good, _, text = operation(user, f"{scratch}/own")
        assert good, text
        user.rest("POST", f"{scratch}/own/file", b"x")
    for folder, names, files in os.walk(f"{scratch}/own"):
        for name in names + files:
            assert os.lstat(f"{folder}/{name}").st_uid == alice.pw_uid


@pytest.mark.parametrize("where", ["home", "tmp"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_links_of_others_do_not_lend_rights(scratch, secret, alice, mallory, operation, where):
    folder = f"{scratch}/{where}"
    os.mkdir(folder)
    if where == "home":
        os.chown(folder, mallory.pw_uid, mallory.pw_gid)
    else:
        os.chmod(folder, 0o1777)
    os.symlink(secret, f"{folder}/link")
    os.lchown(f"{folder}/link", mallory.pw_uid, mallory.pw_gid)
    assert refused(OPERATIONS[operation](As(alice), f"{folder}/link"))
    assert untouched(secret)


def test_own_links_do(scratch, secret, alice):
    os.mkdir(f"{scratch}/own")
    os.chown(f"{scratch}/own", alice.pw_uid, alice.pw_gid)
    os.symlink(secret, f"{scratch}/own/link")
    os.lchown(f"{scratch}/own/link", alice.pw_uid, alice.pw_gid)
    assert As(alice).rest("GET", f"{scratch}/own/link/file") == (True, 200, "secret")


def test_upload_over_a_planted_link(scratch, secret, alice, mallory):
    os.mkdir(f"{scratch}/tmp")
    os.chmod(f"{scratch}/tmp", 0o1777)
    for name, target in (("one", "file"), ("two", "new")):
        os.symlink(f"{secret}/{target}", f"{scratch}/tmp/{name}")
        os.lchown(f"{scratch}/tmp/{name}", mallory.pw_uid, mallory.pw_gid)
        for size in (10, 1000000):
            assert refused(As(alice).rest("POST", f"{scratch}/tmp/{name}", b"x" * size))
    assert untouched(secret)


def test_the_flag():
    binary = os.environ["ENVD_BIN"]
    said = subprocess.run([binary, "--dump-config"], capture_output=True, text=True, check=True)
    assert "file-access = compat\n" in said.stdout
    said = subprocess.run([binary, "--file-access=caller", "--dump-config"],
                          capture_output=True, text=True, check=True)
    assert "file-access = caller\n" in said.stdout
    said = subprocess.run([binary, "-file-access=any"], capture_output=True, text=True, check=False)
    assert said.returncode == 2 and "-file-access string" in said.stderr
