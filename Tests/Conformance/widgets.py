"""A custom resource with everything that Fathom's own definitions use."""

import copy

SCHEMA = {
    "type": "object", "required": ["spec"], "description": "A widget.", "properties": {
        "spec": {
            "type": "object", "description": "What the widget should be.", "required": ["color"], "properties": {
                "color": {"type": "string", "description": "The colour of the widget.", "minLength": 1, "maxLength": 20,
                          "pattern": "^[a-z]+$",
                          "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "color is immutable"}]},
                "replicas": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 10, "default": 1},
                "mode": {"type": "string", "enum": ["fast", "slow"]},
                "limits": {"type": "object", "default": {}, "properties": {
                    "low": {"type": "integer", "default": 1}, "high": {"type": "integer"}}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "either": {"x-kubernetes-int-or-string": True},
                "tags": {"type": "array", "maxItems": 3, "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                          "items": {"type": "object", "required": ["name"], "properties": {
                              "name": {"type": "string"}, "size": {"type": "integer"}}}},
            }},
        "status": {
            "type": "object", "properties": {
                "replicas": {"type": "integer"}, "selector": {"type": "string"},
                "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                               "items": {"type": "object", "required": ["type"], "properties": {
                                   "type": {"type": "string"}, "status": {"type": "string"}}}}}},
    }}

WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.conformance.example"},
    "spec": {
        "group": "conformance.example", "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "shortNames": ["wdg"],
                  "categories": ["gadgetry"]},
        "versions": [{
            "name": "v1", "served": True, "storage": True,
            "subresources": {"status": {}, "scale": {
                "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector"}},
            "additionalPrinterColumns": [
                {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
                {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
                {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
                {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
            "schema": {"openAPIV3Schema": SCHEMA}}]}}


def widget(name, spec=None, **metadata):
    return {"apiVersion": "conformance.example/v1", "kind": "Widget", "metadata": {"name": name, **metadata},
            "spec": spec if spec is not None else {"color": "red"}}


def definition(plural, kind, schema=None, **names):
    """Another definition of the same shape, for tests that install and remove their own."""
    made = copy.deepcopy(WIDGETS)
    made["metadata"]["name"] = f"{plural}.conformance.example"
    made["spec"]["names"] = {"kind": kind, "plural": plural, **names}
    if schema is not None:
        made["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    return made
