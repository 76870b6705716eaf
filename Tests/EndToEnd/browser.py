"""A page in headless Chromium, driven over the DevTools protocol."""

import base64
import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import urllib.request

import packages
import websocket
from fathom import eventually

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One page. `answer(url)` gives what a request that would leave this machine gets: a document, or None for no network."""

    def __init__(self, answer=lambda url: None, size=(1280, 800)):
        self.answer, self.size = answer, size
        self.stack = contextlib.ExitStack()
        self.number, self.dialogs, self.errors = 0, [], []

    def __enter__(self):
        if CHROMIUM is None:
            raise AssertionError("no Chromium: run hack/setup.sh tests")
        profile = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        # The sandbox needs what containers do not give; the only page that it opens is ours.
        self.process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stack.callback(self.process.wait, 20)
        self.stack.callback(self.process.terminate)
        place = profile / "DevToolsActivePort"
        port = eventually("Chromium listens", lambda: place.exists() and place.read_text().split("\n")[0], 60)
        tabs = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=15))
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        self.socket = self.stack.enter_context(contextlib.closing(
            websocket.create_connection(address, timeout=60, suppress_origin=True)))
        for domain in ("Page", "Runtime"):
            self.call(f"{domain}.enable")
        self.call("Fetch.enable", patterns=[{"urlPattern": "*/proxy?url=https*"}])
        self.call("Emulation.setDeviceMetricsOverride", width=self.size[0], height=self.size[1], deviceScaleFactor=1, mobile=False)
        return self

    def __exit__(self, *_):
        self.stack.close()

    def call(self, method, **parameters):
        """Calls a method and returns its result; what the page does meanwhile is looked after."""
        number = self.send(method, **parameters)
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return message["result"]
            self.notice(message.get("method"), message.get("params"))

    def send(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        return self.number

    def notice(self, method, event):
        if method == "Fetch.requestPaused":
            document = self.answer(event["request"]["url"])
            if document is None:
                self.send("Fetch.failRequest", requestId=event["requestId"], errorReason="InternetDisconnected")
            else:
                self.send("Fetch.fulfillRequest", requestId=event["requestId"], responseCode=200,
                          responseHeaders=[{"name": "Content-Type", "value": "application/json"}],
                          body=base64.b64encode(json.dumps(document).encode()).decode())
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(event["message"])
            self.send("Page.handleJavaScriptDialog", accept=True)
        elif method == "Runtime.exceptionThrown":
            self.errors.append(event["exceptionDetails"].get("exception", {}).get("description", str(event)))

    def open(self, url):
        self.call("Page.navigate", url=url)
        eventually(f"{url} is loaded", lambda: self.run("document.readyState") == "complete" and self.run("location.href") == url, 30)

    def run(self, expression):
        """The value of an expression in the page."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in done:
            raise AssertionError(f"{expression}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def click(self, selector):
        """Presses the mouse on the middle of an element, as a user would."""
        box = eventually(f"{selector} can be clicked", lambda: self.run(f"""(() => {{
            const found = document.querySelector({json.dumps(selector)});
            if (!found || found.disabled) return null;
            found.scrollIntoView({{block: "nearest"}});
            const box = found.getBoundingClientRect();
            return box.width ? [box.x + box.width / 2, box.y + box.height / 2] : null;
        }})()"""), 30)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def type(self, selector, text):
        """Replaces what an input has."""
        self.click(selector)
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def choose(self, selector, value):
        self.run(f"""(() => {{
            const list = document.querySelector({json.dumps(selector)});
            list.value = {json.dumps(value)};
            list.dispatchEvent(new Event("change", {{bubbles: true}}));
        }})()""")

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
