"""nginx as a yardstick: one worker that serves files, and one that passes requests on to it."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from fathom import eventually

COMMON = """
daemon off;
worker_processes 1;
pid {directory}/{name}.pid;
error_log {directory}/{name}.log error;
{user}
events {{ worker_connections 2048; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    default_type application/json;
    client_body_temp_path {directory}/{name}-body;
    proxy_temp_path {directory}/{name}-proxy;
    fastcgi_temp_path {directory}/{name}-fastcgi;
    uwsgi_temp_path {directory}/{name}-uwsgi;
    scgi_temp_path {directory}/{name}-scgi;
"""

STATIC = """
    sendfile on;
    open_file_cache max=10000 inactive=10m;
    open_file_cache_valid 10m;
    server {{
        listen 127.0.0.1:{static};
        root {directory}/files;
    }}
}}
"""

PROXY = """
    upstream behind {{
        server 127.0.0.1:{static};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{proxy};
        location / {{
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Nginx:
    """Two nginx of one worker process each, in a directory and on ports of their own."""

    def __init__(self):
        self.program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="fathom-nginx-"))
        (self.directory / "files").mkdir()
        self.static, self.proxy = free_port(), free_port()

    def put(self, name, body):
        (self.directory / "files" / name).write_bytes(body)

    def __enter__(self):
        values = {"directory": self.directory, "static": self.static, "proxy": self.proxy,
                  "user": "user root;" if os.getuid() == 0 else ""}
        self.processes = []
        for name, text in (("static", STATIC), ("proxy", PROXY)):
            file = self.directory / f"{name}.conf"
            file.write_text((COMMON + text).format(name=name, **values))
            self.processes.append(subprocess.Popen([self.program, "-p", str(self.directory), "-c", str(file)]))
        for port in (self.static, self.proxy):
            eventually("nginx listens", lambda: socket.create_connection(("127.0.0.1", port)).close() is None, 20)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
            process.wait(20)
        shutil.rmtree(self.directory, ignore_errors=True)
