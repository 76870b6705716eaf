"""A plain HTTP client of a Kubernetes API, and kubectl: what the suite sees is what went over the wire."""

import contextlib
import http.client
import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.parse

KUBECTL = os.environ.get("FATHOM_KUBECTL") or shutil.which("kubectl") or "kubectl"
JSON = "application/json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def eventually(what, condition, deadline=90.0, pause=0.1):
    """Waits until `condition()` is truthy and returns it; fails with `what` and the last answer otherwise."""
    end = time.monotonic() + deadline
    last = None
    while time.monotonic() < end:
        try:
            last = condition()
            if last:
                return last
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            last = repr(error)
        time.sleep(pause)
    raise AssertionError(f"not within {deadline:g} s: {what}; last: {str(last)[:2000]}")


class Answer:
    """A status code and a decoded body."""

    def __init__(self, code, raw, headers):
        self.code, self.raw, self.headers = code, raw, headers

    @property
    def body(self):
        return json.loads(self.raw)

    @property
    def reason(self):
        return self.body.get("reason")

    @property
    def message(self):
        return self.body.get("message", "")

    @property
    def causes(self):
        """The faulty fields of an answer 422 or the contested ones of a 409."""
        return [cause.get("field") for cause in self.body.get("details", {}).get("causes", [])]

    @property
    def names(self):
        return [item["metadata"]["name"] for item in self.body["items"]]

    @property
    def version(self):
        return self.body["metadata"]["resourceVersion"]

    def __repr__(self):
        return f"{self.code} {self.raw[:1500].decode(errors='replace')}"


class Watch:
    """The lines of one watch, read as they come."""

    def __init__(self, connection, reply):
        self.connection, self.reply = connection, reply

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def next(self, within=30.0):
        """The next event as (type, object); None when the server has ended the watch."""
        # A reply that closes the connection takes over its socket.
        sock = self.connection.sock or self.reply.fp.raw._sock
        sock.settimeout(within)
        line = self.reply.readline()
        if not line:
            return None
        event = json.loads(line)
        return event["type"], event["object"]

    def named(self, within=30.0):
        """The next event that is not a bookmark, as 'TYPE name'."""
        while True:
            event = self.next(within)
            if event is None or event[0] == "ERROR":
                return event
            if event[0] != "BOOKMARK":
                return f"{event[0]} {event[1]['metadata']['name']}"


class Client:
    """One user's way to the API."""

    def __init__(self, url, authority, token, agent="conformance/1"):
        parts = urllib.parse.urlsplit(url)
        self.place = (parts.hostname, parts.port)
        self.context = ssl.create_default_context(cafile=authority)
        self.token, self.agent, self.connection = token, agent, None

    def headers(self, more):
        found = {"User-Agent": self.agent, "Accept": JSON}
        if self.token:
            found["Authorization"] = f"Bearer {self.token}"
        return found | more

    def connect(self, timeout=30):
        return http.client.HTTPSConnection(*self.place, timeout=timeout, context=self.context)

    def call(self, method, path, body=None, kind=JSON, accept=JSON, headers=None, **query):
        """One request; `query` goes into the URL."""
        if query:
            path += ("&" if "?" in path else "?") + urllib.parse.urlencode(query)
        more = {"Accept": accept} | (headers or {})
        data = None
        if body is not None:
            more["Content-Type"] = kind
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = self.connect()
            try:
                self.connection.request(method, path, data, self.headers(more))
                reply = self.connection.getresponse()
                return Answer(reply.status, reply.read(), reply.headers)
            except (ConnectionError, http.client.HTTPException):
                # A kept connection may have been closed by the other side meanwhile.
                self.connection.close()
                fresh, self.connection = self.connection is None, None
                if attempt == 2 or fresh:
                    raise
        raise AssertionError("not reached")

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body, **more):
        return self.call("POST", path, body, **more)

    def put(self, path, body, **more):
        return self.call("PUT", path, body, **more)

    def patch(self, path, body, kind=MERGE, **more):
        return self.call("PATCH", path, body, kind, **more)

    def apply(self, path, body, manager, **more):
        return self.call("PATCH", path, body, APPLY, fieldManager=manager, **more)

    def delete(self, path, options=None, **more):
        return self.call("DELETE", path, options, **more)

    def watch(self, path, **query):
        """Opens a watch; a refusal is returned as an Answer."""
        query = {"watch": "true", "timeoutSeconds": "60"} | query
        connection = self.connect()
        connection.request("GET", f"{path}?{urllib.parse.urlencode(query)}", headers=self.headers({}))
        reply = connection.getresponse()
        if reply.status == 200:
            return Watch(connection, reply)
        with contextlib.closing(connection):
            return Answer(reply.status, reply.read(), reply.headers)


class Kubectl:
    """kubectl with one kubeconfig and a cache of its own."""

    def __init__(self, kubeconfig, cache):
        self.base = [KUBECTL, "--kubeconfig", str(kubeconfig), "--cache-dir", str(cache)]

    def command(self, *arguments):
        return self.base + [str(argument) for argument in arguments]

    def run(self, *arguments, stdin=None, environment=None):
        return subprocess.run(self.command(*arguments), input=stdin, capture_output=True, text=True, timeout=120,
                              env=os.environ | (environment or {}))

    def __call__(self, *arguments, stdin=None, fails=False, environment=None):
        """Runs to the end; the output, or with `fails` what it complained."""
        done = self.run(*arguments, stdin=stdin, environment=environment)
        if (done.returncode != 0) != fails:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: exit {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return done.stderr + done.stdout if fails else done.stdout
