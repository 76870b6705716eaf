"""Fills a folder with the files of the image: the program, the shared libraries that it needs, certificates, and nothing else."""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

USER = 65532
PROGRAM = "usr/local/bin/fathom"
# Where a program of 64 bits looks for its loader, by the loader's name.
LOADER_FOLDER = {"ld-linux-x86-64.so.2": "lib64", "ld-linux-aarch64.so.1": "lib"}
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"


def needed(file):
    """The names of the shared libraries, and of the loader, that an ELF file asks for."""
    said = subprocess.run(["readelf", "--wide", "--dynamic", "--program-headers", file], check=True, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", said)) | {
        pathlib.Path(path).name for path in re.findall(r"program interpreter: (.+)\]", said)}


class Packages:
    """Debian packages, unpacked beside each other."""

    def __init__(self, folder, place):
        self.unpacked = {}
        self.versions = {}
        self.libraries = {}
        for file in sorted(folder.glob("*.deb")):
            name, version, architecture = subprocess.run(
                ["dpkg-deb", "--showformat=${Package} ${Version} ${Architecture}", "--show", file],
                check=True, capture_output=True, text=True).stdout.split()
            subprocess.run(["dpkg-deb", "--extract", file, place / name], check=True)
            self.unpacked[name], self.versions[name] = place / name, f"{version} {architecture}"
            for library in sorted((place / name).rglob("*.so*")):
                # A library's own folder is the architecture's; plug-ins lie deeper and are found by nobody here.
                if re.fullmatch(r"(usr/)?lib/[a-z0-9_]+-linux-gnu|lib64|lib", str(library.parent.relative_to(place / name))):
                    self.libraries.setdefault(library.name, (name, library))

    def library(self, name, asked_by):
        if name not in self.libraries:
            raise SystemExit(f"image_root: {asked_by} needs {name}, which is in none of the packages; "
                             "is the program built on another release of Debian?")
        return self.libraries[name]


def put(root, path, content, mode=0o644):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(mode)


def fill(binary, packages, root):
    """Copies the program and, from there, whatever it needs; returns the packages that something came from."""
    used = set()
    put(root, PROGRAM, b"", 0o755)
    subprocess.run(["strip", "--strip-all", "-o", root / PROGRAM, binary], check=True)
    (root / PROGRAM).chmod(0o755)
    waiting = [(name, "fathom") for name in needed(root / PROGRAM)]
    seen = set()
    while waiting:
        name, asked_by = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        package, file = packages.library(name, asked_by)
        used.add(package)
        folder = LOADER_FOLDER.get(name) or next(iter(re.findall(r"lib/[a-z0-9_]+-linux-gnu", str(file.parent))))
        # The file itself under the name that is asked for: versions in names are for several beside each other.
        put(root, f"{folder}/{name}", file.resolve().read_bytes(), 0o755 if name.startswith("ld-") else 0o644)
        waiting += [(other, name) for other in needed(file.resolve())]

    # What the package's own script makes when it is installed: all authorities in one file, where both TLS users look.
    certificates = packages.unpacked["ca-certificates"]
    used.add("ca-certificates")
    put(root, AUTHORITIES, b"".join(
        file.read_bytes().rstrip(b"\n") + b"\n" for file in sorted((certificates / "usr/share/ca-certificates").rglob("*.crt"))))
    (root / "usr/lib/ssl").mkdir(parents=True)
    (root / "usr/lib/ssl/cert.pem").symlink_to("../../../" + AUTHORITIES)

    put(root, "etc/passwd", f"root:x:0:0:root:/:/nonexistent\nfathom:x:{USER}:{USER}:fathom:/:/nonexistent\n")
    put(root, "etc/group", f"root:x:0:\nfathom:x:{USER}:\n")
    put(root, "etc/nsswitch.conf", "hosts: files dns\n")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    for package in sorted(used):
        document = packages.unpacked[package] / "usr/share/doc" / package
        if document.is_symlink():  # to the folder of a package that it depends on
            other = document.readlink().name
            document = packages.unpacked[other] / "usr/share/doc" / other
        put(root, f"usr/share/doc/{package}/copyright", (document / "copyright").read_bytes())
    put(root, "usr/share/doc/fathom/packages", "".join(f"{name} {packages.versions[name]}\n" for name in sorted(used)))
    return used


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("binary", "packages", "root"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    if arguments.root.exists() and any(arguments.root.iterdir()):
        raise SystemExit(f"image_root: {arguments.root} is not empty")
    arguments.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        used = fill(arguments.binary, Packages(arguments.packages, pathlib.Path(place)), arguments.root)
    license = pathlib.Path(__file__).resolve().parent.parent / "LICENSE"
    shutil.copyfile(license, arguments.root / "usr/share/doc/fathom/copyright")
    size = sum(file.stat().st_size for file in arguments.root.rglob("*") if file.is_file() and not file.is_symlink())
    print(f"{arguments.root}: {size / 1e6:.1f} MB from the program and {len(used)} packages")


if __name__ == "__main__":
    main()
