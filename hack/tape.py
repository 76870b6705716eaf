"""A recording, read while it is being written, as the books that simple rules make of it."""

import json
import time


class Tape:
    """Follows `events.jsonl`: `at(id)` gives the books after the last event up to that id.

    A gap puts the books out of step; the recording's next snapshot starts them anew with the events that came before it.
    """

    def __init__(self, folder, rules):
        self.folder, self.rules = folder, rules
        self.books = {}
        self.waiting = []
        self.last_id = 0
        self.partial = b""
        self.lines = []
        self.file = open(folder / "events.jsonl", "rb")
        self.starts = 0

    def next_line(self):
        """The next whole line; waits for the recorder to write it."""
        deadline = time.monotonic() + 60
        while not self.lines:
            chunk = self.file.read(1 << 20)
            if not chunk:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the recording stands at {self.last_id}")
                time.sleep(0.1)
                continue
            parts = (self.partial + chunk).split(b"\n")
            self.partial = parts.pop()
            parts.reverse()
            self.lines = parts
        return self.lines[-1]

    def at(self, update_id):
        """The books that stand at `update_id`; empty if the tape is out of step there."""
        while self.last_id < update_id:
            line = self.next_line()
            entry = json.loads(line)
            if entry["kind"] == "depth":
                event = entry["frame"]["data"]
                if event["u"] > update_id:
                    break
                self.take(event)
            else:
                self.start(json.loads((self.folder / entry["file"]).read_text()))
            self.lines.pop()
        return self.books

    def take(self, event):
        self.last_id = max(self.last_id, event["u"])
        for book in self.books.values():
            if not book.apply(event):
                self.books, self.waiting = {}, []
                break
        if not self.books:
            self.waiting.append(event)

    def start(self, snapshot):
        if self.books:
            return
        self.books = {name: rule(snapshot) for name, rule in self.rules.items()}
        self.starts += 1
        for event in self.waiting:
            for book in self.books.values():
                book.apply(event)
        self.waiting = []
