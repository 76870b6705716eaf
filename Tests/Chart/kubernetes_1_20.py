"""Chart and manifests for the kube-apiserver that the tests have, 1.20: what it does not know is left out, the rest is as it is.

That are the CEL rules of the definitions (tried in test_definitions.py) and policy/v1, which it has as v1beta1.
"""

import re
import shutil

import yaml

RULES = re.compile(r"^ +x-kubernetes-validations:\n(?: +- rule: .*\n +message: .*\n)+", re.M)


def adapt(folder):
    """Changes a copied chart, or a folder of copied manifests."""
    for path in folder.rglob("*.yaml"):
        text = path.read_text()
        if "crds" in path.parts and "kind: CustomResourceDefinition" in text:
            text = RULES.sub("", text)
            assert "x-kubernetes-validations" not in text, path
        path.write_text(text.replace("apiVersion: policy/v1\n", "apiVersion: policy/v1beta1\n"))
    about = folder / "Chart.yaml"
    if about.exists():
        about.write_text(yaml.safe_dump({**yaml.safe_load(about.read_text()), "kubeVersion": ">=1.20.0-0"}))


def copied(source, target):
    shutil.copytree(source, target)
    adapt(target)
    return target
