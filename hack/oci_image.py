"""Packs a folder as an OCI image archive whose bytes depend on nothing but the folder's files and the arguments."""

import argparse
import datetime
import gzip
import hashlib
import io
import json
import pathlib
import tarfile

USER = "65532:65532"
PROGRAM = "usr/local/bin/fathom"
NAME = "fathom"


def entry(name, time, mode=0o644, size=0, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.mtime, info.mode, info.size, info.type, info.linkname = time, mode, size, kind, target
    return info


def packed(entries):
    """A tar of (info, content) in their order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content) if content is not None else None)
    return buffer.getvalue()


def layer(root, time, belongs):
    """The part of the folder that `belongs` says is in this layer, and the folders that it lies in."""
    files = [path for path in root.rglob("*") if (path.is_symlink() or not path.is_dir()) and belongs(path)]
    empty = [path for path in root.rglob("*") if path.is_dir() and not any(path.iterdir()) and belongs(path)]
    folders = {parent for path in files for parent in path.relative_to(root).parents if str(parent) != "."}
    entries = []
    for path in sorted({*folders, *(path.relative_to(root) for path in files + empty)}):
        file, name = root / path, str(path)
        if file.is_symlink():
            entries.append((entry(name, time, 0o777, kind=tarfile.SYMTYPE, target=str(file.readlink())), None))
        elif file.is_dir():
            mode = 0o1777 if name == "tmp" else 0o755
            entries.append((entry(name, time, mode, kind=tarfile.DIRTYPE), None))
        else:
            content = file.read_bytes()
            entries.append((entry(name, time, 0o755 if file.stat().st_mode & 0o100 else 0o644, len(content)), content))
    return packed(entries)


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def blob(blobs, media_type, content, **more):
    blobs[digest(content)] = content
    return {"mediaType": media_type, "digest": digest(content), "size": len(content), **more}


def as_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def image(root, version, architecture, time):
    """The archive, and the digest of the image's manifest."""
    # Two layers: the libraries stay while the program changes.
    layers = [layer(root, time, lambda path: path != root / PROGRAM), layer(root, time, lambda path: path == root / PROGRAM)]
    created = datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    blobs = {}
    configuration = blob(blobs, "application/vnd.oci.image.config.v1+json", as_json({
        "created": created, "architecture": architecture, "os": "linux",
        "config": {
            "User": USER, "Entrypoint": ["/" + PROGRAM], "Env": ["PATH=/usr/local/bin"], "WorkingDir": "/",
            "Labels": {"org.opencontainers.image.title": NAME, "org.opencontainers.image.version": version}},
        "rootfs": {"type": "layers", "diff_ids": [digest(content) for content in layers]},
        "history": [{"created": created, "comment": "libraries"}, {"created": created, "comment": "program"}],
    }))
    compressed = [blob(blobs, "application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(content, 9, mtime=0)) for content in layers]
    manifest = blob(blobs, "application/vnd.oci.image.manifest.v1+json", as_json({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": configuration, "layers": compressed}))
    path = {key: f"blobs/sha256/{key.removeprefix('sha256:')}" for key in blobs}
    files = {
        "oci-layout": as_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": as_json({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [{
            **manifest, "platform": {"architecture": architecture, "os": "linux"},
            "annotations": {"io.containerd.image.name": f"docker.io/library/{NAME}:{version}", "org.opencontainers.image.ref.name": version}}]}),
        # What `docker load` of older engines reads.
        "manifest.json": as_json([{"Config": path[configuration["digest"]], "RepoTags": [f"{NAME}:{version}"],
                                   "Layers": [path[each["digest"]] for each in compressed]}]),
        **{path[key]: content for key, content in blobs.items()},
    }
    folders = [(entry(name, time, 0o755, kind=tarfile.DIRTYPE), None) for name in ("blobs", "blobs/sha256")]
    return packed(folders + [(entry(name, time, size=len(files[name])), files[name]) for name in sorted(files)]), manifest["digest"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--architecture", required=True)
    parser.add_argument("--time", type=int, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    archive, manifest = image(arguments.root, arguments.version, arguments.architecture, arguments.time)
    arguments.output.write_bytes(archive)
    print(f"{arguments.output}: {len(archive) / 1e6:.1f} MB, image {manifest}")


if __name__ == "__main__":
    main()
