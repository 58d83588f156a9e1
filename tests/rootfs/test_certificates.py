"""seed-certs: /etc/ssl/certs on a tmpfs, in a mount namespace of its own."""

import subprocess

import pytest
import trees
from conftest import TOP

# The script speaks of /etc/ssl/certs and /run: both are stand-ins here.
STAGE = """set -e
mount -t tmpfs run /run
mount --bind "$1" /etc/ssl
{body}
"""


def staged(folder, body):
    words = ["unshare", "-m", "sh", "-c", STAGE.format(body=body), "sh", str(folder)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(name="ssl")
def fixture_ssl(tmp_path):
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    folder = tmp_path / "ssl"
    trees.write(folder, "certs/ca-certificates.crt", "BUNDLE\n")
    trees.write(folder, "mozilla/One.crt", "ONE\n")
    trees.link(folder, "certs/One.pem", "../mozilla/One.crt")
    trees.link(folder, "certs/gone.pem", "../mozilla/Gone.crt")
    return folder


SEED = f"{TOP}/rootfs/usr/lib/envd/seed-certs"


def test_they_move_to_memory(ssl):
    before = trees.content(ssl)
    done = staged(ssl, f"""{SEED}; cd /etc/ssl/certs
        stat -f -c %T .; cat ca-certificates.crt One.pem
        echo MORE >>ca-certificates.crt
        cp ca-certificates.crt x; mv x ca-certificates.crt; cat ca-certificates.crt""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["tmpfs", "BUNDLE", "ONE", "BUNDLE", "MORE"]
    assert trees.content(ssl) == before


def test_once_only(ssl):
    done = staged(ssl, f"""{SEED}; echo MORE >>/etc/ssl/certs/ca-certificates.crt
        {SEED}; cat /etc/ssl/certs/ca-certificates.crt
        grep -c ' /etc/ssl/certs ' /proc/self/mountinfo""")
    assert done.stdout.split() == ["BUNDLE", "MORE", "1"], done.stderr


def test_an_image_without_any(ssl):
    (ssl / "certs/ca-certificates.crt").unlink()
    done = staged(ssl, f"{SEED}; cat /etc/ssl/certs/ca-certificates.crt | wc -c")
    assert done.stdout.split() == ["0"], done.stderr
    (ssl / "certs").rename(ssl / "elsewhere")
    done = staged(ssl, f"{SEED}; echo $?; test ! -e /etc/ssl/certs; echo $?")
    assert done.stdout.split() == ["0", "0"]


def test_where_both_directory_and_bundle_go_by_other_names(ssl):
    """As on Fedora."""
    (ssl / "certs/ca-certificates.crt").rename(ssl / "extracted.pem")
    trees.link(ssl, "certs/ca-bundle.crt", "../extracted.pem")
    (ssl / "certs").rename(ssl / "tls")
    trees.link(ssl, "certs", "tls")
    before = trees.content(ssl)
    done = staged(ssl, f"""{SEED}; {SEED}; cd /etc/ssl/certs
        echo MORE >>ca-certificates.crt; cat ca-bundle.crt
        grep -c ' /etc/ssl/tls ' /proc/self/mountinfo""")
    assert done.stdout.split() == ["BUNDLE", "MORE", "1"], done.stderr
    assert trees.content(ssl) == before


def test_without_the_right_to_mount(ssl):
    """The agent must start all the same."""
    done = staged(ssl, f"""setpriv --bounding-set=-all --inh-caps=-all {SEED}; echo $?
        cat /etc/ssl/certs/ca-certificates.crt; ls -A /run/e2b/certs""")
    assert done.stdout.split() == ["0", "BUNDLE"]
    assert "stays on the disk" in done.stderr
