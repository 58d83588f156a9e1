"""`make layer`: the files, and what its descriptors say of them."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

import pytest
import trees
from conftest import AGENT, ROOT, TOP

OUT = os.path.join(TOP, "build", "rootfs")


def make_layer():
    subprocess.run([f"{TOP}/rootfs/layer"], check=True, capture_output=True,
                   timeout=120, env={**os.environ, "AGENT": AGENT})
    with open(f"{OUT}/layer.tar.gz", "rb") as layer:
        return layer.read()


@pytest.fixture(scope="module", name="layer")
def fixture_layer():
    return make_layer()


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def read_json(path):
    with open(os.path.join(OUT, path), encoding="ascii") as text:
        return json.load(text)


def blob(descriptor):
    """What a descriptor names, which must be as it says."""
    kind, name = descriptor["digest"].split(":")
    with open(os.path.join(OUT, "oci", "blobs", kind, name), "rb") as data:
        found = data.read()
    assert len(found) == descriptor["size"]
    assert sha256(found) == descriptor["digest"]
    return found


def test_twice_the_same(layer):
    assert make_layer() == layer


def test_descriptors_from_the_index_down(layer):
    assert read_json("oci/oci-layout") == {"imageLayoutVersion": "1.0.0"}
    image = read_json("oci/index.json")["manifests"][0]
    assert image["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    manifest = json.loads(blob(image))
    config = json.loads(blob(manifest["config"]))
    assert config["os"] == "linux"
    assert config["architecture"] == image["platform"]["architecture"]
    assert config["config"]["Entrypoint"] == ["/usr/bin/envd"]
    assert [blob(each) for each in manifest["layers"]] == [layer]
    assert manifest["layers"] == [read_json("layer.json")]
    assert manifest["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert config["rootfs"]["diff_ids"] == [sha256(gzip.decompress(layer))]


def test_what_is_in_it(layer):
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        members = {member.name: member for member in tar}
        with open(AGENT, "rb") as agent:
            assert tar.extractfile("usr/bin/envd").read() == agent.read()
    # On an image with /bin as a link a directory of that name would do harm.
    assert {name.split("/")[0] for name in members} == {"usr", "etc"}
    assert all((member.uid, member.gid) == (0, 0) for member in members.values())
    assert not any(member.mode & 0o022 for member in members.values() if not member.issym())
    wanted = "etc/systemd/system/multi-user.target.wants/envd.service"
    assert members[wanted].linkname == "/usr/lib/systemd/system/envd.service"
    assert "usr/lib/envd/baked" not in members


def lay_over(layer, tree):
    subprocess.run(["tar", "-C", tree, "-xpz"], input=layer, check=True)


def test_bake_from_the_layer(layer, alpine):
    lay_over(layer, alpine.tree)
    subprocess.run([f"{alpine.tree}/usr/share/envd/bake", "--binary",
                    f"{alpine.tree}/usr/bin/envd", str(alpine.tree)],
                   check=True, capture_output=True, timeout=60)
    assert (alpine.tree / "etc/init.d/envd").exists()
    assert "user:" in alpine.text("etc/passwd")


@pytest.mark.skipif(not ROOT, reason="changing the root needs root")
def test_bake_from_within(layer, tmp_path):
    """In a container's build: COPY the layer, RUN the bake it brings, with
    nothing but busybox there."""
    subprocess.run([f"{TOP}/rootfs/build", "micro"], check=True, capture_output=True,
                   timeout=300, env={**os.environ, "AGENT": AGENT})
    subprocess.run(["tar", "-C", tmp_path, "-xpf", f"{OUT}/micro.tar"], check=True)
    subprocess.run([f"{TOP}/rootfs/bake", "--remove", tmp_path], check=True, capture_output=True)
    trees.write(tmp_path, "etc/skel/.profile", "# profile\n")
    lay_over(layer, tmp_path)
    before = trees.content(tmp_path)
    bake = ["chroot", tmp_path, "/usr/share/envd/bake"]
    for words in (["--set", "isnotfc=true", "/"], ["--set", "isnotfc=true", "/"]):
        done = subprocess.run([*bake, *words], capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
    assert (tmp_path / "home/user/.profile").stat().st_uid == 1000
    assert "user:*:1000:1000" in (tmp_path / "etc/passwd").read_text()
    subprocess.run([*bake, "--remove", "/"], check=True, capture_output=True, timeout=60)
    assert trees.content(tmp_path) == before
