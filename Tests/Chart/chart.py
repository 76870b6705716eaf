"""The chart as the tests see it: rendered by Helm itself, as lists of objects."""

import pathlib

import helm_python
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/fathom"
COMPONENTS = ("controller", "worker", "gateway")


def values(name):
    """A set of values by the name of its file; "defaults" is none."""
    return {} if name == "defaults" else yaml.safe_load((ROOT / f"Tests/Chart/values/{name}.yaml").read_text())


VALUE_SETS = ["defaults", *sorted(path.stem for path in (ROOT / "Tests/Chart/values").glob("*.yaml"))]


def render(given=None, name="fathom", namespace="fathom"):
    """The objects of a release."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(given or {}, name=name, namespace=namespace)
    return [thing for path, text in sorted(rendered.items()) if path.endswith(".yaml")
            for thing in yaml.safe_load_all(text) if thing]


def notes(given=None, name="fathom", namespace="fathom"):
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(given or {}, name=name, namespace=namespace)
    return "".join(text for path, text in rendered.items() if path.endswith("NOTES.txt"))


def kinds(objects, kind):
    return [thing for thing in objects if thing["kind"] == kind]


def named(objects, kind, name):
    found = [thing for thing in kinds(objects, kind) if thing["metadata"]["name"] == name]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} objects {kind} {name}")
    return found[0]


def identity(thing):
    return thing["apiVersion"], thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"]


def pods(objects):
    """Component to pod template."""
    return {thing["metadata"]["labels"]["app.kubernetes.io/component"]: thing["spec"]["template"]
            for thing in kinds(objects, "Deployment")}
