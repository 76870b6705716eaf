"""Starts and stops kube-apiserver, kube-controller-manager and etcd for tests; see hack/real-apiserver.sh."""

import argparse
import base64
import contextlib
import json
import os
import pathlib
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

ORDER = ["etcd", "kube-apiserver", "kube-controller-manager"]


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Instance:
    """One data directory: certificates, tokens, ports and the processes that run on them."""

    def __init__(self, programs, directory):
        self.programs, self.directory = pathlib.Path(programs), pathlib.Path(directory).absolute()
        self.file = self.directory / "cluster.json"
        self.facts = json.loads(self.file.read_text()) if self.file.exists() else {}

    def save(self):
        self.file.touch(mode=0o600)
        self.file.write_text(json.dumps(self.facts, indent=1))

    # What is made once

    def prepare(self, service_accounts):
        for part in ("pki", "logs", "kubeconfigs", "run"):
            (self.directory / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.facts:
            etcd, peer, api, manager = free_ports(4)
            self.facts = {"ports": {"etcd": etcd, "peer": peer, "api": api, "manager": manager}, "users": {},
                          "server": f"https://127.0.0.1:{api}", "certificateAuthority": str(self.directory / "pki/ca.pem")}
            self.make_certificates()
        self.add_user("admin", "admin", ["system:masters"])
        self.add_user("kube-controller-manager", "system:kube-controller-manager", ["system:masters"])
        for account in service_accounts:
            namespace, name = account.split("/", 1)
            self.add_user(account, f"system:serviceaccount:{namespace}:{name}",
                          ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"])
        (self.directory / "tokens.csv").touch(mode=0o600)
        (self.directory / "tokens.csv").write_text("".join(
            f"{user['token']},{user['user']},{user['user']},\"{','.join(user['groups'])}\"\n"
            for user in self.facts["users"].values()))
        self.save()

    def make_certificates(self):
        pki = self.directory / "pki"

        def openssl(*arguments):
            subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=pki)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 3650, "-subj", "/CN=fathom-test-ca",
                "-keyout", "ca-key.pem", "-out", "ca.pem")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kube-apiserver", "-keyout", "serving-key.pem",
                "-out", "serving.csr")
        (pki / "san.cnf").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc\n")
        openssl("x509", "-req", "-in", "serving.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial",
                "-days", 3650, "-extfile", "san.cnf", "-out", "serving.pem")
        openssl("genrsa", "-out", "service-accounts.pem", 2048)

    def add_user(self, name, user, groups):
        if name in self.facts["users"]:
            return
        token = secrets.token_hex(20)
        path = self.directory / "kubeconfigs" / name.replace("/", "-")
        authority = base64.b64encode((self.directory / "pki/ca.pem").read_bytes()).decode()
        namespace = name.split("/")[0] if "/" in name else "default"
        path.touch(mode=0o600)
        # JSON is YAML.
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.facts["server"],
                                                      "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": namespace}}]}))
        self.facts["users"][name] = {"user": user, "groups": groups, "token": token, "kubeconfig": str(path)}

    # The processes

    def command(self, name):
        ports, pki, d = self.facts["ports"], self.directory / "pki", self.directory
        etcd = f"http://127.0.0.1:{ports['etcd']}"
        return {
            # What a test writes need not survive the machine.
            "etcd": ["--data-dir", f"{d}/etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
                     "--listen-peer-urls", f"http://127.0.0.1:{ports['peer']}", "--unsafe-no-fsync"],
            "kube-apiserver": [
                "--etcd-servers", etcd, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
                "--secure-port", str(ports["api"]), "--tls-cert-file", f"{pki}/serving.pem",
                "--tls-private-key-file", f"{pki}/serving-key.pem", "--client-ca-file", f"{pki}/ca.pem",
                "--token-auth-file", f"{d}/tokens.csv", "--authorization-mode", "RBAC",
                "--service-account-issuer", "https://kubernetes.default.svc",
                "--service-account-key-file", f"{pki}/service-accounts.pem",
                "--service-account-signing-key-file", f"{pki}/service-accounts.pem",
                "--service-cluster-ip-range", "10.96.0.0/16", "--endpoint-reconciler-type", "none",
                "--etcd-compaction-interval", "0", "--shutdown-delay-duration", "0s"],
            "kube-controller-manager": [
                "--kubeconfig", self.facts["users"]["kube-controller-manager"]["kubeconfig"],
                "--bind-address", "127.0.0.1", "--secure-port", str(ports["manager"]), "--port", "0",
                "--cert-dir", f"{d}/run", "--leader-elect=false",
                "--controllers", "garbagecollector,namespace,serviceaccount,serviceaccount-token",
                "--service-account-private-key-file", f"{pki}/service-accounts.pem", "--root-ca-file", f"{pki}/ca.pem"],
        }[name]

    def pid(self, name):
        """The process that the pid file names, if it still is that program."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.directory / "run" / f"{name}.pid").read_text())
            # Not its command line, which is empty for a moment after it was started.
            if os.readlink(f"/proc/{pid}/exe") == os.path.realpath(self.programs / name):
                return pid
        return None

    def start(self, name):
        if self.pid(name) is not None:
            return
        with open(self.directory / "logs" / f"{name}.log", "ab") as log:
            process = subprocess.Popen([str(self.programs / name), *self.command(name)], stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, start_new_session=True, cwd=self.directory)
        (self.directory / "run" / f"{name}.pid").write_text(str(process.pid))

    def stop(self, name, within=20):
        pid = self.pid(name)
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + within
        while self.pid(name) is not None:
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def get(self, path):
        context = ssl.create_default_context(cafile=self.facts["certificateAuthority"])
        request = urllib.request.Request(self.facts["server"] + path, headers={
            "Authorization": f"Bearer {self.facts['users']['admin']['token']}"})
        with urllib.request.urlopen(request, timeout=5, context=context) as reply:
            return reply.read().decode()

    def wait_for(self, what, name, condition, within=90):
        end = time.monotonic() + within
        last = None
        while time.monotonic() < end:
            try:
                last = condition()
                if last:
                    return
            except (OSError, ValueError) as error:
                last = error
            if self.pid(name) is None:
                break
            time.sleep(0.1)
        log = (self.directory / "logs" / f"{name}.log").read_text(errors="replace")[-2000:]
        raise SystemExit(f"real-apiserver: {name} is not {what} ({last}); the end of its log:\n{log}")

    def up(self):
        self.start("etcd")
        self.wait_for("serving", "etcd", lambda: "true" in self.etcd("GET", "/health"))
        self.start("kube-apiserver")
        self.wait_for("ready", "kube-apiserver", lambda: self.get("/readyz") == "ok")
        self.wait_for("ready", "kube-apiserver", lambda: self.get("/api/v1/namespaces/default"))
        self.start("kube-controller-manager")
        # The default ServiceAccount is the controller-manager's first work: it is there when that one runs.
        self.wait_for("working", "kube-controller-manager",
                      lambda: self.get("/api/v1/namespaces/default/serviceaccounts/default"))

    def down(self):
        for name in reversed(ORDER):
            self.stop(name)

    def etcd(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.facts['ports']['etcd']}{path}", method=method,
                                         data=json.dumps(body).encode() if body is not None else None)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.read().decode()

    def compact(self):
        revision = json.loads(self.etcd("POST", "/v3/kv/range", {"key": "AA=="}))["header"]["revision"]
        self.etcd("POST", "/v3/kv/compaction", {"revision": revision, "physical": True})
        return revision


def main():
    parser = argparse.ArgumentParser(prog="real-apiserver.sh")
    parser.add_argument("--programs", required=True)
    parser.add_argument("command", choices=["start", "stop", "stop-api", "compact"])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--service-account", action="append", default=[], metavar="NAMESPACE/NAME")
    options = parser.parse_args()
    instance = Instance(options.programs, options.data_dir)
    if options.command == "start":
        instance.prepare(options.service_account)
        try:
            instance.up()
        except BaseException:
            # Half a cluster is of no use to anybody, and nobody would end it.
            instance.down()
            raise
        print(instance.file.read_text())
    elif options.command == "stop":
        instance.down()
    elif options.command == "stop-api":
        instance.stop("kube-apiserver")
    else:
        print(instance.compact())
    return 0


if __name__ == "__main__":
    sys.exit(main())
