"""`fathom-bench query` as a process: a fixed rate of queries, measured from when each was due."""

import json
import pathlib
import subprocess
import tempfile

from fathom import BINARIES


class FixedRate:
    def __init__(self, port, paths, rate, seconds, record=None, connections=4096):
        targets = pathlib.Path(tempfile.mkdtemp(prefix="fathom-load-")) / "targets.txt"
        targets.write_text("".join(path + "\n" for path in paths))
        command = [str(BINARIES / "fathom-bench"), "query", "--json", "--address", f"127.0.0.1:{port}", "--targets",
                   str(targets), "--rate", str(rate), "--seconds", str(seconds), "--connections", str(connections)]
        if record:
            command += ["--record", str(record)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def figures(self, timeout=None):
        """What it measured, once it has ended; `failures` are the first failed queries."""
        out, errors = self.process.communicate(timeout=timeout)
        if self.process.returncode != 0:
            raise AssertionError(f"fathom-bench query ended with {self.process.returncode}: {errors}")
        return {**json.loads(out), "failures": errors.splitlines()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            pipe.close()
