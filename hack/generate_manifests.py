"""Everything that is made from the chart and the resource definitions, as files of this repository; see generate-manifests.sh."""

import pathlib
import sys

import helm_python
import yaml

import values_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "charts/fathom"
DEFINITIONS = ROOT / "Sources/DepthCacheAPI/Resources"
NAME = NAMESPACE = "fathom"

HEAD = "# Made from charts/fathom by hack/generate-manifests.sh; change that, not this.\n"
# What only Helm looks at; with kubectl somebody else manages the objects.
HELM_ONLY = ("app.kubernetes.io/managed-by: Helm", "helm.sh/chart: ")


def objects(text):
    """The documents of a rendered template, as text, without what only Helm looks at."""
    for document in text.split("\n---\n"):
        document = document.removeprefix("---\n").strip("\n")
        if yaml.safe_load(document):
            yield "\n".join(line for line in document.split("\n") if not line.strip().startswith(HELM_ONLY)) + "\n"


def install():
    """What `kubectl apply` takes: accounts and permissions first, then state and settings, then what runs."""
    order = ["serviceaccounts", "roles", "state", "config", "networkpolicies", "service", "poddisruptionbudgets", "deployments"]
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render({"crds": {"install": False}}, name=NAME, namespace=NAMESPACE)
    texts = {pathlib.Path(path).stem: text for path, text in rendered.items() if path.endswith(".yaml")}
    left_out = {name for name, text in texts.items() if text.strip()} - set(order)
    if left_out:
        raise SystemExit(f"generate-manifests: templates without a place in the order: {sorted(left_out)}")
    return HEAD + "---\n".join(document for name in order for document in objects(texts[name]))


def namespace():
    """The namespace of install.yaml; it lets in only pods that keep the restricted standard, as all of Fathom's do."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return HEAD + yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
                                 sort_keys=False)


def everything():
    """File to content of all that is generated."""
    files = {
        ROOT / "manifests/namespace.yaml": namespace(),
        ROOT / "manifests/install.yaml": install(),
        ROOT / "docs/values.md": values_table.page((CHART / "values.yaml").read_text()),
    }
    for definition in sorted(DEFINITIONS.glob("*.yaml")):
        files[ROOT / "manifests/crds" / definition.name] = definition.read_text()
        files[CHART / "files/crds" / definition.name] = definition.read_text()
    return files


def main(arguments):
    if arguments not in ([], ["--check"]):
        raise SystemExit("usage: hack/generate-manifests.sh [--check]")
    stale = [path for path, text in everything().items() if not path.exists() or path.read_text() != text]
    if arguments and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        raise SystemExit(f"generate-manifests: stale: {names}. Run hack/generate-manifests.sh and commit what it makes")
    if not arguments:
        for path in stale:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(everything()[path])
            print(f"made {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
