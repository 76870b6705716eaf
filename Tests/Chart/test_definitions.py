"""The CustomResourceDefinitions: readable, structural, and right about good and bad objects.

The objects are judged as kube-apiserver does it: by the schema (here with jsonschema) and by the CEL rules (here with an
implementation of CEL).
"""

import unittest

import cel
import jsonschema
import yaml

from chart import CHART, ROOT, kinds, render

DEFINITIONS = {kind["spec"]["names"]["kind"]: kind for path in sorted((ROOT / "manifests/crds").glob("*.yaml"))
               for kind in [yaml.safe_load(path.read_text())]}


def schema(kind):
    (version,) = DEFINITIONS[kind]["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def fields(of, path=""):
    """Every schema inside a schema, with its path."""
    yield path, of
    for name, inner in of.get("properties", {}).items():
        yield from fields(inner, f"{path}.{name}".lstrip("."))
    if "items" in of:
        yield from fields(of["items"], f"{path}[]")


def violations(of, value, old=None, path=""):
    """The messages of the rules that do not hold."""
    for rule in of.get("x-kubernetes-validations", []):
        if "oldSelf" in rule["rule"] and old is None:
            continue
        if cel.evaluate(rule["rule"], {"self": value, "oldSelf": old}) is not True:
            yield f"{path}: {rule['message']}"
    if isinstance(value, dict):
        for name, inner in of.get("properties", {}).items():
            if name in value:
                yield from violations(inner, value[name], (old or {}).get(name), f"{path}.{name}".lstrip("."))


def judged(kind, value, old=None):
    """Everything that is wrong with an object."""
    errors = list(jsonschema.Draft4Validator(schema(kind)).iter_errors(value))
    said = [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]
    # kube-apiserver runs no rule over an object with missing, too long or mistyped fields.
    if any(error.validator in ("type", "required", "maxLength") for error in errors):
        return said
    return said + list(violations(schema(kind), value, old))


def cache(**spec):
    whole = {"exchange": "binance.com", "market": "BTCUSDT", "replicas": 2, "depth": 500, **spec}
    return {"apiVersion": "fathom.dev/v1alpha1", "kind": "DepthCache", "metadata": {"name": "a"},
            "spec": {key: value for key, value in whole.items() if value is not None}}


def replica(**spec):
    whole = {"exchange": "binance.com", "market": "BTCUSDT", "depth": 500, "workerName": "worker-0", "credentialsSecretName": "keys", **spec}
    return {"apiVersion": "fathom.dev/v1alpha1", "kind": "DepthCacheReplica", "metadata": {"name": "a"},
            "spec": {key: value for key, value in whole.items() if value is not None}}


class Objects(unittest.TestCase):
    def test_good_objects_pass(self):
        examples = [thing for path in sorted((ROOT / "manifests/examples").glob("*.yaml")) for thing in yaml.safe_load_all(path.read_text()) if thing]
        self.assertGreater(len(examples), 2)
        for good in examples + [
            cache(), cache(replicas=None, depth=None), cache(exchange="BINANCE.COM", market="币安人生USDT"), cache(replicas=1), cache(replicas=1000),
            cache(depth=1), cache(depth=5000), cache(updateIntervalMilliseconds=1), cache(updateIntervalMilliseconds=60000),
            cache(refreshIntervalSeconds=1), cache(refreshIntervalSeconds=604800), replica(), replica(credentialsSecretName=None),
        ]:
            self.assertEqual(judged(good["kind"], good), [], good["spec"])

    def test_good_changes_pass(self):
        for new, old in [(cache(replicas=5, depth=20, updateIntervalMilliseconds=1000), cache()), (replica(depth=7), replica())]:
            self.assertEqual(judged(new["kind"], new, old), [])

    def test_each_bad_field_is_refused_with_words_that_help(self):
        for bad, field, words in [
            (cache(exchange=None), "spec", "'exchange' is a required property"),
            (cache(market=None), "spec", "'market' is a required property"),
            (cache(exchange=""), "spec.exchange", "such as binance.com"),
            (cache(exchange="x" * 65), "spec.exchange", "too long"),
            (cache(market=""), "spec.market", "such as BTCUSDT"),
            (cache(market="x" * 65), "spec.market", "too long"),
            (cache(market=7), "spec.market", "not of type 'string'"),
            (cache(replicas=0), "spec.replicas", "delete the DepthCache"),
            (cache(replicas=-1), "spec.replicas", "give 1 or more"),
            (cache(replicas="2"), "spec.replicas", "not of type 'integer'"),
            (cache(depth=0), "spec.depth", "1 to 5000"),
            (cache(depth=5001), "spec.depth", "1 to 5000"),
            (cache(updateIntervalMilliseconds=0), "spec.updateIntervalMilliseconds", "leave it out for the fastest"),
            (cache(updateIntervalMilliseconds=60001), "spec.updateIntervalMilliseconds", "leave it out for the fastest"),
            (cache(refreshIntervalSeconds=0), "spec.refreshIntervalSeconds", "a week"),
            (cache(refreshIntervalSeconds=604801), "spec.refreshIntervalSeconds", "a week"),
            (replica(workerName=None), "spec", "'workerName' is a required property"),
            (replica(workerName=""), "spec.workerName", ""),
            ({**replica(), "status": {"phase": "Fine"}}, "status.phase", "is not one of"),
        ]:
            with self.subTest(spec=bad["spec"]):
                said = judged(bad["kind"], bad)
                self.assertTrue([line for line in said if line.startswith(field + ":") and words in line], said)

    def test_what_is_immutable_cannot_be_changed(self):
        for new, old, field, words in [
            (cache(exchange="binance.us"), cache(), "spec.exchange", "create another DepthCache"),
            (cache(market="ETHUSDT"), cache(), "spec.market", "create another DepthCache"),
            (replica(exchange="binance.us"), replica(), "spec.exchange", "the controller"),
            (replica(market="ETHUSDT"), replica(), "spec.market", "the controller"),
            (replica(workerName="worker-1"), replica(), "spec.workerName", "the controller"),
            (replica(credentialsSecretName="other"), replica(), "spec.credentialsSecretName", "the controller"),
        ]:
            (said,) = judged(new["kind"], new, old)
            self.assertTrue(said.startswith(field + ":") and words in said, said)

    def test_every_rule_has_said_no_to_something(self):
        """Each rule has an object above, and each is of the kind that the embedded API can run: a comparison of one field."""
        messages = {(kind, path, rule["message"]) for kind in DEFINITIONS for path, inner in fields(schema(kind))
                    for rule in inner.get("x-kubernetes-validations", [])}
        tried = set()
        for kind, given in (("DepthCache", cache), ("DepthCacheReplica", replica)):
            olds = given()
            for name in schema(kind)["properties"]["spec"]["properties"]:
                for value in ("", "other", 0):
                    changed = given(**{name: value})
                    if not jsonschema.Draft4Validator(schema(kind)["properties"]["spec"]["properties"][name]).is_type(
                            value, schema(kind)["properties"]["spec"]["properties"][name]["type"]):
                        continue
                    tried |= {(kind, line.split(": ", 1)[0], line.split(": ", 1)[1]) for line in violations(schema(kind), changed, olds)}
        self.assertEqual(tried, messages)
        self.assertEqual(len(messages), 12)
        for kind in DEFINITIONS:
            for _, inner in fields(schema(kind)):
                for rule in inner.get("x-kubernetes-validations", []):
                    self.assertRegex(rule["rule"], r"^self (==|!=|>=) (oldSelf|''|1)( && self <= \d+)?$")


class Shape(unittest.TestCase):
    def test_every_field_explains_itself(self):
        """`kubectl explain` shows these; each is a sentence."""
        count = 0
        for kind in DEFINITIONS:
            for path, inner in fields(schema(kind)):
                if path == "metadata":
                    # Kubernetes' own: it explains it itself, and refuses a definition that says anything about it.
                    self.assertEqual(inner, {"type": "object"})
                    continue
                self.assertRegex(inner.get("description", ""), r"^[A-Z].{8,}\.$", f"{kind} {path}")
                count += 1
        self.assertGreater(count, 50)

    def test_the_schemas_are_structural(self):
        for kind in DEFINITIONS:
            for path, inner in fields(schema(kind)):
                where = f"{kind} {path}"
                self.assertIn(inner.get("type"), ("object", "array", "string", "integer"), where)
                self.assertFalse({"x-kubernetes-preserve-unknown-fields", "additionalProperties", "nullable", "$ref"} & set(inner), where)
                self.assertLessEqual(set(inner.get("required", [])), set(inner.get("properties", {})), where)
                if inner["type"] == "integer":
                    self.assertIn(inner["format"], ("int32", "int64"), where)
                if "x-kubernetes-validations" in inner and inner["type"] == "string":
                    self.assertIn("maxLength", inner, f"{where}: the cost of a rule is bounded by it")

    def test_columns_and_subresources_name_fields_that_there_are(self):
        names = {kind: {path for path, _ in fields(schema(kind))} for kind in DEFINITIONS}
        for kind, definition in DEFINITIONS.items():
            (version,) = definition["spec"]["versions"]
            for column in version["additionalPrinterColumns"]:
                path = column["jsonPath"].lstrip(".").replace('[?(@.type=="Ready")]', "[]").replace('[?(@.type=="Degraded")]', "[]")
                if path != "metadata.creationTimestamp":
                    self.assertIn(path, names[kind], column["name"])
                self.assertTrue(column["description"].endswith("."))
            self.assertIn("status", version["subresources"])
        scale = DEFINITIONS["DepthCache"]["spec"]["versions"][0]["subresources"]["scale"]
        for path in scale.values():
            self.assertIn(path.lstrip("."), names["DepthCache"])

    def test_names_are_short_and_grouped(self):
        said = {kind: (d["spec"]["names"]["shortNames"], d["spec"]["names"]["categories"], d["spec"]["scope"]) for kind, d in DEFINITIONS.items()}
        self.assertEqual(said, {"DepthCache": (["dc"], ["fathom"], "Namespaced"), "DepthCacheReplica": (["dcr"], ["fathom"], "Namespaced")})

    def test_the_chart_brings_the_same_definitions(self):
        made = {crd["metadata"]["name"]: crd for crd in kinds(render(), "CustomResourceDefinition")}
        self.assertEqual(set(made), {d["metadata"]["name"] for d in DEFINITIONS.values()})
        for definition in DEFINITIONS.values():
            self.assertEqual(made[definition["metadata"]["name"]]["spec"], definition["spec"])
        version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
        for crd in made.values():
            self.assertEqual(crd["metadata"]["annotations"]["fathom.dev/chart-version"], version)
