"""Makes docs/values.md from the comments of the chart's values.yaml: a value's description is the comment "# -- …" above it."""

import json
import re

import yaml

HEAD = """# Values of the chart

Made from `charts/fathom/values.yaml` by `hack/generate-manifests.sh`. `charts/fathom/values.schema.json` says the same to Helm: a value that
is misspelt or of the wrong kind stops `helm install` before anything is made.

| value | default | meaning |
|---|---|---|
"""


def rows(text):
    """Path, default and description of each documented value, in the order of the file."""
    defaults = yaml.safe_load(text)
    path, comment = [], []
    for line in text.split("\n"):
        if words := re.match(r" *# (-- )?(.*)", line):
            comment = [words[2]] if words[1] else comment + [words[2]] if comment else []
            continue
        if key := re.match(r"( *)([A-Za-z][A-Za-z0-9]*):", line):
            path = path[:len(key[1]) // 2] + [key[2]]
            if comment:
                value = defaults
                for part in path:
                    value = value[part]
                yield ".".join(path), value, " ".join(comment)
        comment = []


def page(text):
    """The whole page."""
    table = [f"| `{path}` | `{json.dumps(value, ensure_ascii=False)}` | {words.replace('|', chr(92) + '|')} |"
             for path, value, words in rows(text)]
    return HEAD + "\n".join(table) + "\n"
