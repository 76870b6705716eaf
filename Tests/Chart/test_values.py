"""The values: documented, described by the schema, and refused when they are wrong."""

import json
import sys
import unittest

import helm_python
import yaml

from chart import CHART, ROOT, render

sys.path.insert(0, str(ROOT / "hack"))
import generate_manifests
import values_table

TEXT = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def resolved(schema):
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


class Documentation(unittest.TestCase):
    def test_what_is_made_from_the_chart_is_not_stale(self):
        stale = [str(path.relative_to(ROOT)) for path, text in generate_manifests.everything().items()
                 if not path.exists() or path.read_text() != text]
        self.assertEqual(stale, [], "run hack/generate-manifests.sh")

    def test_every_value_is_documented(self):
        documented = {path for path, _, _ in values_table.rows(TEXT)}

        def look(value, path):
            if ".".join(path) in documented:
                return
            self.assertTrue(isinstance(value, dict) and value, f"{'.'.join(path)} has no comment '# -- …'")
            for key, inner in value.items():
                look(inner, [*path, key])

        for key, value in yaml.safe_load(TEXT).items():
            look(value, [key])
        self.assertGreater(len(documented), 60)

    def test_the_schema_has_the_values_and_no_others(self):
        def compare(value, schema, path):
            schema = resolved(schema)
            if schema.get("additionalProperties") is not False or "properties" not in schema:
                return
            ours = set(value or {}) | ({"global"} if not path else set()) | ({"claims"} if path.endswith("resources") else set())
            self.assertEqual(ours, set(schema["properties"]), path)
            for key in value or {}:
                compare(value[key], schema["properties"][key], f"{path}.{key}")

        compare(yaml.safe_load(TEXT), SCHEMA, "")


class Refusals(unittest.TestCase):
    def refused(self, given, *words):
        with self.assertRaises(helm_python.HelmError) as raised:
            render(given)
        for word in words:
            self.assertIn(word, str(raised.exception))

    def test_wrong_values_are_refused_by_name(self):
        for given, words in [
            ({"worker": {"replica": 3}}, ("worker", "replica")),
            ({"worker": {"replicas": 0}}, ("worker", "replicas")),
            ({"worker": {"replicas": "3"}}, ("worker", "replicas")),
            ({"worker": {"threads": 0}}, ("threads",)),
            ({"worker": {"feeds": 4}}, ("feeds",)),
            ({"service": {"type": "Loadbalancer"}}, ("service", "type")),
            ({"service": {"port": 70000}}, ("port",)),
            ({"service": {"loadBalancerSourceRanges": ["10.0.0.1"]}}, ("loadBalancerSourceRanges",)),
            ({"exchanges": {"binance.com": {"restBaseUrl": "https://x"}}}, ("binance.com", "restBaseUrl")),
            ({"exchangeCertificates": {"proxy.pem": "nothing"}}, ("exchangeCertificates",)),
            ({"exchangeCertificates": {"config.yaml": "-----BEGIN CERTIFICATE-----"}}, ("exchangeCertificates",)),
            ({"image": {"digest": "sha256:abc"}}, ("digest",)),
            ({"auth": {"anonymous": "manage"}}, ("auth", "anonymous")),
            ({"auth": {"tokensSecret": "A_b"}}, ("tokensSecret",)),
            ({"tls": {"secret": "x"}}, ("tls", "secret")),
            ({"limits": {"requestRate": -1}}, ("requestRate",)),
            ({"limits": {"corsOrigins": ["board.example"]}}, ("corsOrigins",)),
            ({"limits": {"trustedProxies": ["proxy"]}}, ("trustedProxies",)),
            ({"log": {"level": "loud"}}, ("level",)),
            ({"extraLabels": {"team": "a b"}}, ("extraLabels",)),
            ({"podSecurity": {"runAsUser": 0}}, ("runAsUser",)),
        ]:
            with self.subTest(values=given):
                self.refused(given, *words)
