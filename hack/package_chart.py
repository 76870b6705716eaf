"""Packs charts/fathom and indexes a folder of charts; see package-chart.sh."""

import datetime
import gzip
import hashlib
import io
import pathlib
import re
import sys
import tarfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "charts/fathom"


def archive(chart, time):
    """The chart as Helm reads it: all its files under its name."""
    buffer = io.BytesIO()
    files = {path.relative_to(chart): path for path in chart.rglob("*") if path.is_file()}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files, key=lambda name: (str(name) != "Chart.yaml", str(name))):
            content = files[name].read_bytes()
            info = tarfile.TarInfo(f"{chart.name}/{name}")
            info.size, info.mtime, info.mode = len(content), time, 0o644
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 9, mtime=0)


def entry(file):
    """What the index says of an archive."""
    with tarfile.open(file) as tar:
        member = next(member for member in tar if re.fullmatch(r"[^/]+/Chart.yaml", member.name))
        about = yaml.safe_load(tar.extractfile(member).read())
        created = datetime.datetime.fromtimestamp(member.mtime, datetime.timezone.utc)
    return {**about, "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "digest": hashlib.sha256(file.read_bytes()).hexdigest(), "urls": [file.name]}


def newest_first(entries):
    return sorted(entries, key=lambda each: [int(part) for part in re.findall(r"\d+", each["version"].split("-")[0])], reverse=True)


def main(folder, time):
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    program = re.search(r'static let version = "(.+)"', (ROOT / "Sources/fathom/Main.swift").read_text())[1]
    if not about["version"] == about["appVersion"] == program:
        raise SystemExit(f"package-chart: Chart.yaml has version {about['version']} and appVersion {about['appVersion']}, the programs {program}")
    folder.mkdir(parents=True, exist_ok=True)
    file, content = folder / f"{about['name']}-{about['version']}.tgz", archive(CHART, time)
    if file.exists() and file.read_bytes() != content:
        raise SystemExit(f"package-chart: {file} is there with other content; a version is published once. Raise the version, or delete the file")
    file.write_bytes(content)
    entries = newest_first(entry(each) for each in sorted(folder.glob(f"{about['name']}-*.tgz")))
    (folder / "index.yaml").write_text(yaml.safe_dump({
        "apiVersion": "v1", "generated": max(each["created"] for each in entries), "entries": {about["name"]: entries}}, sort_keys=True))
    print(f"{file}: sha256:{hashlib.sha256(content).hexdigest()}; {len(entries)} version(s) in {folder / 'index.yaml'}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
