"""The image: built twice, looked into, and started as Kubernetes would start it."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest
import urllib.parse
import urllib.request

from chart import ROOT

sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
from fathom import Simulator, eventually

USER = 65532


def build(output):
    """One run of the script; returns the archive."""
    done = subprocess.run([ROOT / "hack/build-image.sh", "--output", output], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise AssertionError(f"build-image.sh: {done.stdout[-2000:]}{done.stderr[-4000:]}")
    (archive,) = pathlib.Path(output).glob("*.tar")
    return archive


class Archive:
    """An OCI archive; every blob is checked against its digest when it is read."""

    def __init__(self, path):
        with tarfile.open(path) as archive:
            self.files = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
        index = json.loads(self.files["index.json"])
        (self.described,) = index["manifests"]
        self.manifest = json.loads(self.blob(self.described))
        self.configuration = json.loads(self.blob(self.manifest["config"]))
        self.layers = [gzip.decompress(self.blob(layer)) for layer in self.manifest["layers"]]

    def blob(self, descriptor):
        algorithm, value = descriptor["digest"].split(":")
        content = self.files[f"blobs/{algorithm}/{value}"]
        assert hashlib.sha256(content).hexdigest() == value and len(content) == descriptor["size"], descriptor
        return content

    def members(self):
        return [member for layer in self.layers for member in tarfile.open(fileobj=io.BytesIO(layer))]

    def unpack(self, folder):
        for layer in self.layers:
            subprocess.run(["tar", "-x", "-C", folder], input=layer, check=True)


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.path = build(cls.folder / "first")
        cls.archive = Archive(cls.path)

    def test_the_same_sources_give_the_same_bytes(self):
        self.assertEqual(build(self.folder / "second").read_bytes(), self.path.read_bytes())

    def test_it_is_a_whole_oci_image(self):
        configuration = self.archive.configuration
        self.assertEqual(configuration["rootfs"]["diff_ids"], ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in self.archive.layers])
        self.assertEqual(configuration["config"]["User"], f"{USER}:{USER}")
        self.assertEqual(configuration["config"]["Entrypoint"], ["/usr/local/bin/fathom"])
        self.assertEqual(self.archive.described["annotations"]["io.containerd.image.name"],
                         "docker.io/library/fathom:" + configuration["config"]["Labels"]["org.opencontainers.image.version"])
        (docker,) = json.loads(self.archive.files["manifest.json"])
        self.assertLessEqual({docker["Config"], *docker["Layers"]}, set(self.archive.files))

    def test_it_is_small_and_has_one_program_and_no_shell(self):
        members = self.archive.members()
        self.assertLess(sum(member.size for member in members), 60_000_000)
        executable = {member.name for member in members if member.isfile() and member.mode & 0o111}
        self.assertEqual({name for name in executable if "/ld-" not in name}, {"usr/local/bin/fathom"})
        for member in members:
            self.assertEqual((member.uid, member.gid, member.mode & (stat.S_ISUID | stat.S_ISGID)), (0, 0, 0), member.name)
            if member.mode & 0o002 and not member.issym():
                self.assertEqual(member.name, "tmp")

    def test_nothing_of_the_machine_that_built_it_is_in_it(self):
        """The folder of the sources would make another image on every machine."""
        for layer in self.archive.layers:
            self.assertNotIn(str(ROOT).encode() + b"/", layer)

    @unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
    def test_it_keeps_a_book_as_another_user_on_a_read_only_root(self):
        """All programs of the image, from the archive's own layers, with TLS, SQLite and the links between them."""
        with tempfile.TemporaryDirectory(dir="/tmp") as folder, Simulator("--symbols", 5) as exchange:
            root, data = pathlib.Path(folder, "root"), pathlib.Path(folder, "data")
            for made in (root, data):
                made.mkdir()
            self.archive.unpack(root)
            # What a container runtime makes: the two file systems of the kernel, and one volume.
            (root / "proc").mkdir()
            (root / "dev").mkdir()
            data.chmod(0o1777)
            (data / "authority.pem").write_bytes(pathlib.Path(exchange.ca_file).read_bytes())
            (data / "authority.pem").chmod(0o444)
            exchanges = exchange.exchanges(data, "binance.com")
            exchanges.write_text(exchanges.read_text().replace(str(exchange.ca_file), "/tmp/authority.pem"))
            mounts = ('mount --bind "$0" "$0" && mount --bind "$1" "$0/tmp" && mount --bind /proc "$0/proc" && mount --bind /dev "$0/dev" '
                      '&& mount -o remount,bind,ro "$0" && shift && exec chroot --userspec=' f"{USER}:{USER} "
                      '"$0" /usr/local/bin/fathom "$@"')
            command = ["unshare", "--mount", "sh", "-c", mounts, root, data, "up", "--workers", "1", "--port", "0", "--kube-port", "0",
                       "--data-dir", "/tmp/fathom", "--exchanges", "/tmp/exchanges.yaml"]
            log = self.enterContext(open(pathlib.Path(folder, "log"), "w+"))
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
            try:
                self.answers(process, data, log)
            finally:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(60)
                process.kill()
                process.wait()
            self.assertEqual(process.returncode, 0)

    def answers(self, process, data, log):
        def said():
            log.seek(0)
            return log.read()

        def up():
            self.assertIsNone(process.poll(), said())
            return json.loads((data / "fathom/up.json").read_text())

        gateway = eventually("the cluster is up", up)["gateway"]["port"]

        def ask(path, **query):
            with urllib.request.urlopen(f"http://127.0.0.1:{gateway}{path}?{urllib.parse.urlencode(query)}", timeout=10) as reply:
                return json.loads(reply.read())

        market = {"exchange": "binance.com", "market": "BTCUSDT"}
        eventually("the cache is made", lambda: ask("/create_depthcache", **market)["result"] == "OK")
        answer = eventually("the book answers", lambda: (a := ask("/get_asks", limit_count=5, **market))["result"] == "OK" and a)
        self.assertEqual(len(answer["data"] if "data" in answer else answer["asks"]), 5, answer)
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        self.assertIn(f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n", status)
        self.assertIn("CapEff:\t0000000000000000\n", status)
        mount = next(line.split() for line in pathlib.Path(f"/proc/{process.pid}/mountinfo").read_text().splitlines() if line.split()[4] == "/")
        self.assertIn("ro", mount[5].split(","), mount)
