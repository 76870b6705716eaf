"""Raw sockets to a gateway: what no HTTP client sends, and exact answers."""

import contextlib
import json
import socket
import urllib.request


class Wire:
    """One connection; reads answers by their Content-Length."""

    def __init__(self, place, timeout=30, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(place)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Sends what can be sent; the other side may have closed, which the answer tells."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def receive(self):
        """More bytes; none when the other side has closed."""
        try:
            more = self.socket.recv(65536)
        except ConnectionResetError:
            return b""
        self.rest += more
        return more

    def answer(self, head_only=False):
        """The next answer as (status, headers, body); None when the connection ends before one."""
        while b"\r\n\r\n" not in self.rest:
            if not self.receive():
                return None
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = 0 if head_only or status in (100, 204, 304) else int(headers["content-length"])
        while len(self.rest) < length:
            if not self.receive():
                raise AssertionError(f"{len(self.rest)} of {length} bytes of a body")
        body, self.rest = self.rest[:length], self.rest[length:]
        return status, headers, body

    def is_ended(self):
        """Whether nothing more comes; waits for it."""
        while self.receive():
            pass
        return True


def ask(place, data, **options):
    """One exchange on a connection of its own."""
    with Wire(place, **options) as wire:
        wire.send(data)
        return wire.answer()


def metrics(place):
    """The samples of a /metrics page: name with labels to number."""
    with urllib.request.urlopen(f"http://{place}/metrics", timeout=15) as page:
        lines = page.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line and not line.startswith("#")}


def connections(place):
    return metrics(place)['fathom_http_connections{listener="clients"}']


def held(place):
    return metrics(place)['fathom_http_held_bytes{listener="clients"}']


def refused(place, limit):
    return metrics(place)[f'fathom_http_refused_total{{limit="{limit}",listener="clients"}}']


def resident(pid):
    """Resident memory of a process in MiB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))


def well_formed(status, headers, body):
    """Whether an answer is an envelope, a problem, a page or a plain refusal, as its status and type say; else why not."""
    if status in (204, 304):
        return None if not body else f"{status} with a body"
    try:
        document = json.loads(body)
    except ValueError:
        return f"{status} is no JSON: {body[:200]!r}"
    kind = headers.get("content-type")
    if kind == "application/problem+json":
        missing = {"type", "title", "status", "detail", "error_id"} - set(document)
        return f"a problem without {missing}" if missing or document["status"] != status else None
    if kind != "application/json":
        return f"type {kind}"
    if "result" in document:
        if document["result"] == "ERROR" and not (document.get("error_id") and document.get("message")):
            return f"an error without id or message: {document}"
        return None if document["result"] in ("OK", "ERROR") and document.get("event") else f"an envelope: {document}"
    return None if status in (200, 201) or "detail" in document else f"{status}: {document}"
