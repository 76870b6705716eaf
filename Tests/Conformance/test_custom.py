"""Custom resources: schemas, defaults, pruning, subresources, and definitions that come and go."""

import copy
import re

from client import JSON_PATCH, STRATEGIC, Answer, eventually
from servers import Conformance, installed
from widgets import SCHEMA, WIDGETS, definition, widget

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class CustomResources(Conformance):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        installed(cls.api, WIDGETS)

    def path(self, name=None, subresource=None):
        return self.group("conformance.example/v1", "widgets", name) + (f"/{subresource}" if subresource else "")

    def create(self, spec=None, name="w", **metadata):
        return self.api.post(self.path(), widget(name, spec, **metadata))

    def test_absent_fields_get_defaults(self):
        spec = self.made(self.create())["spec"]
        self.assertEqual(spec, {"color": "red", "replicas": 1, "limits": {"low": 1}})
        spec = self.made(self.create({"color": "red", "replicas": 0, "limits": {"high": 9}}, "v"))["spec"]
        self.assertEqual((spec["replicas"], spec["limits"]), (0, {"low": 1, "high": 9}))

    def test_null_of_a_field_that_has_a_default(self):
        spec = self.made(self.create({"color": "red", "replicas": None}))["spec"]
        self.assertEqual(spec["replicas"], 1)

    def test_unknown_fields_are_pruned(self):
        made = self.made(self.create({"color": "red", "flavour": "sweet", "free": {"any": {"thing": 1}},
                                      "limits": {"odd": 1}, "parts": [{"name": "a", "weight": 3}]}))
        self.assertEqual(made["spec"], {"color": "red", "replicas": 1, "free": {"any": {"thing": 1}}, "limits": {"low": 1},
                                        "parts": [{"name": "a"}]})
        self.made(self.api.patch(self.path("w"), {"spec": {"flavour": "sour"}, "extra": 1}))
        self.assertNotIn("flavour", self.made(self.api.get(self.path("w")))["spec"])

    def test_schema_faults_name_the_field(self):
        for spec, field in (
                ({}, "spec.color"), ({"color": ""}, "spec.color"), ({"color": "x" * 21}, "spec.color"),
                ({"color": "Red"}, "spec.color"), ({"color": 7}, "spec.color"), ({"color": None}, "spec.color"),
                ({"color": "red", "replicas": "x"}, "spec.replicas"), ({"color": "red", "replicas": -1}, "spec.replicas"),
                ({"color": "red", "replicas": 11}, "spec.replicas"), ({"color": "red", "replicas": 1.5}, "spec.replicas"),
                ({"color": "red", "mode": "odd"}, "spec.mode"), ({"color": "red", "labels": {"a": 1}}, "spec.labels.a"),
                ({"color": "red", "either": True}, "spec.either"), ({"color": "red", "tags": ["a", "a"]}, "spec.tags[1]"),
                ({"color": "red", "tags": ["a", "b", "c", "d"]}, "spec.tags"),
                ({"color": "red", "parts": [{"size": 1}]}, "spec.parts[0].name"),
                ({"color": "red", "parts": [{"name": "a"}, {"name": "a"}]}, "spec.parts[1]"),
                ({"color": "red", "parts": {}}, "spec.parts"), ({"color": "red", "limits": []}, "spec.limits"),
                ("text", "spec")):
            with self.subTest(spec=spec):
                answer = self.refused(self.create(spec), 422, "Invalid")
                # Older servers leave out the index of the faulty item.
                fields = (field, re.sub(r"\[\d+\]", "", field))
                self.assertTrue(any((cause or "").startswith(fields) for cause in answer.causes), answer)
                self.assertIn('Widget.conformance.example "w" is invalid', answer.message)

    def test_all_faults_are_listed_at_once(self):
        answer = self.refused(self.create({"color": "RED", "replicas": 99, "mode": "odd"}), 422, "Invalid")
        self.assertLessEqual({"spec.color", "spec.replicas", "spec.mode"}, set(answer.causes))

    def test_values_that_fit(self):
        for index, more in enumerate(({"either": 1}, {"either": "1"}, {"labels": {"a": "b"}}, {"tags": ["a", "b"]},
                                      {"mode": "slow"}, {"replicas": 10}, {"replicas": 0})):
            with self.subTest(more=more):
                self.made(self.create({"color": "red"} | more, f"w{index}"))

    def test_an_invalid_update_changes_nothing(self):
        self.made(self.create())
        for body, kind in (({"spec": {"replicas": 99}}, None), ([{"op": "remove", "path": "/spec/color"}], JSON_PATCH)):
            self.refused(self.api.patch(self.path("w"), body, **({"kind": kind} if kind else {})), 422, "Invalid")
        self.assertEqual(self.made(self.api.get(self.path("w")))["spec"]["replicas"], 1)

    def test_immutability_by_rule(self):
        self.needs(25, "validation by CEL")
        self.made(self.create())
        answer = self.refused(self.api.patch(self.path("w"), {"spec": {"color": "blue"}}), 422, "Invalid")
        self.assertEqual(answer.causes, ["spec.color"])
        self.assertIn("color is immutable", answer.message)
        self.made(self.api.patch(self.path("w"), {"spec": {"replicas": 2}}))

    def test_strict_field_validation(self):
        self.needs(25, "fieldValidation")
        strict = self.api.post(self.path(), widget("w", {"color": "red", "flavour": "x"}), fieldValidation="Strict")
        self.refused(strict, 400, "BadRequest")
        self.assertIn('unknown field "spec.flavour"', strict.message)
        warned = self.api.post(self.path(), widget("w", {"color": "red", "flavour": "x"}))
        self.assertIn('unknown field \\"spec.flavour\\"', warned.headers.get("Warning", ""))

    def test_status_and_spec_are_written_apart(self):
        body = widget("w")
        body["status"] = {"replicas": 5}
        made = self.made(self.api.post(self.path(), body))
        self.assertNotIn("status", made)
        self.assertEqual(made["metadata"]["generation"], 1)
        both = {"spec": {"replicas": 4}, "status": {"replicas": 3}, "metadata": {"labels": {"x": "1"}}}
        after = self.made(self.api.patch(self.path("w", "status"), both))
        self.assertEqual((after["status"], after["spec"]["replicas"]), ({"replicas": 3}, 1))
        self.assertEqual(after["metadata"]["generation"], 1)
        after = self.made(self.api.patch(self.path("w"), both | {"status": {"replicas": 8}}))
        self.assertEqual((after["status"], after["spec"]["replicas"]), ({"replicas": 3}, 4))
        self.assertEqual(after["metadata"]["generation"], 2)
        after = self.made(self.api.patch(self.path("w"), {"metadata": {"annotations": {"a": "1"}}}))
        self.assertEqual(after["metadata"]["generation"], 2)

    def test_an_invalid_status_is_refused(self):
        self.made(self.create())
        answer = self.api.patch(self.path("w", "status"), {"status": {"replicas": "many"}})
        self.assertIn("status.replicas", self.refused(answer, 422, "Invalid").causes)

    def test_a_status_update_of_an_old_version_conflicts(self):
        made = self.made(self.create())
        self.made(self.api.patch(self.path("w"), {"spec": {"replicas": 2}}))
        made["status"] = {"replicas": 1}
        self.refused(self.api.put(self.path("w", "status"), made), 409, "Conflict")

    def test_scale_reads_and_writes_replicas(self):
        self.made(self.create())
        self.made(self.api.patch(self.path("w", "status"), {"status": {"replicas": 1, "selector": "app=w"}}))
        scale = self.made(self.api.get(self.path("w", "scale")))
        self.assertEqual((scale["kind"], scale["apiVersion"], scale["spec"], scale["status"]),
                         ("Scale", "autoscaling/v1", {"replicas": 1}, {"replicas": 1, "selector": "app=w"}))
        scale["spec"]["replicas"] = 5
        self.assertEqual(self.made(self.api.put(self.path("w", "scale"), scale))["spec"], {"replicas": 5})
        self.refused(self.api.put(self.path("w", "scale"), scale), 409, "Conflict")
        self.made(self.api.patch(self.path("w", "scale"), {"spec": {"replicas": 7}}))
        after = self.made(self.api.get(self.path("w")))
        self.assertEqual((after["spec"]["replicas"], after["metadata"]["generation"]), (7, 3))
        for replicas in (11, -1):
            self.refused(self.api.patch(self.path("w", "scale"), {"spec": {"replicas": replicas}}), 422, "Invalid")

    def test_an_update_needs_a_version(self):
        made = self.made(self.create())
        del made["metadata"]["resourceVersion"]
        answer = self.refused(self.api.put(self.path("w"), made), 422, "Invalid")
        self.assertEqual(answer.causes, ["metadata.resourceVersion"])

    def test_a_body_without_a_kind(self):
        body = widget("w")
        del body["kind"]
        self.refused(self.api.post(self.path(), body), 400, "BadRequest")

    def test_strategic_patches_are_for_builtin_kinds(self):
        self.made(self.create())
        self.refused(self.api.patch(self.path("w"), {"spec": {}}, kind=STRATEGIC), 415, "UnsupportedMediaType")

    def test_merge_patches_replace_lists(self):
        self.made(self.create({"color": "red", "parts": [{"name": "a"}, {"name": "b"}]}))
        after = self.made(self.api.patch(self.path("w"), {"spec": {"parts": [{"name": "c"}], "mode": "fast"}}))
        self.assertEqual(after["spec"]["parts"], [{"name": "c"}])
        self.assertNotIn("mode", self.made(self.api.patch(self.path("w"), {"spec": {"mode": None}}))["spec"])

    def test_printer_columns(self):
        self.made(self.create())
        self.made(self.api.patch(self.path("w", "status"), {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}))
        table = self.api.get(self.path(), accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
        columns = [(column["name"], column["priority"]) for column in table["columnDefinitions"]]
        self.assertEqual(columns, [("Name", 0), ("Color", 0), ("Ready", 0), ("Mode", 1), ("Age", 0)])
        self.assertEqual(table["rows"][0]["cells"][:3], ["w", "red", "True"])

    def test_custom_resources_are_watched(self):
        version = self.api.get(self.path()).version
        with self.api.watch(self.path(), resourceVersion=version, labelSelector="x=1") as watch:
            self.made(self.create(labels={"x": "1"}))
            self.made(self.api.patch(self.path("w", "scale"), {"spec": {"replicas": 2}}))
            self.api.delete(self.path("w"))
            self.assertEqual([watch.named() for _ in range(3)], ["ADDED w", "MODIFIED w", "DELETED w"])


class Definitions(Conformance):
    """CustomResourceDefinitions themselves."""

    def install(self, plural, kind, **more):
        made = definition(plural, kind, **more)
        self.addCleanup(self.api.delete, f"{DEFINITIONS}/{made['metadata']['name']}")
        installed(self.api, made)
        return self.group("conformance.example/v1", plural)

    def thing(self, kind, name="x", **spec):
        return {"apiVersion": "conformance.example/v1", "kind": kind, "metadata": {"name": name},
                "spec": {"color": "red", **spec}}

    def test_a_definition_is_established(self):
        self.install("gizmos", "Gizmo")
        made = self.made(self.api.get(f"{DEFINITIONS}/gizmos.conformance.example"))
        conditions = {c["type"]: c["status"] for c in made["status"]["conditions"]}
        self.assertEqual((conditions["Established"], conditions["NamesAccepted"]), ("True", "True"))
        self.assertEqual(made["spec"]["names"]["listKind"], "GizmoList")
        self.assertEqual(made["spec"]["names"]["singular"], "gizmo")
        self.assertEqual(made["status"]["storedVersions"], ["v1"])
        entry = next(e for e in self.api.get("/apis/conformance.example/v1").body["resources"] if e["name"] == "gizmos/status")
        self.assertEqual(entry["kind"], "Gizmo")

    def test_invalid_definitions_are_refused(self):
        def changed(edit):
            made = copy.deepcopy(definition("bads", "Bad"))
            edit(made["spec"])
            return made

        def schema(value):
            return lambda spec: spec["versions"][0]["schema"].update(openAPIV3Schema=value)

        for name, edit in {
                "no schema": lambda spec: spec["versions"][0].pop("schema"),
                "no storage": lambda spec: spec["versions"][0].update(storage=False),
                "no kind": lambda spec: spec["names"].pop("kind"),
                "other group": lambda spec: spec.update(group="other.example"),
                "untyped": schema({"type": "object", "properties": {"spec": {"properties": {}}}}),
                "array without items": schema({"type": "object", "properties": {"spec": {"type": "array"}}}),
                "map without keys": schema({"type": "object", "properties": {"spec": {
                    "type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}}}),
                "metadata with a description": schema({"type": "object", "properties": {"metadata": {
                    "type": "object", "description": "The usual."}}}),
                "default of another type": schema({"type": "object", "properties": {"spec": {
                    "type": "integer", "default": "x"}}}),
        }.items():
            with self.subTest(name):
                self.refused(self.api.post(DEFINITIONS, changed(edit)), 422, "Invalid")
        self.assertTrue(self.gone(f"{DEFINITIONS}/bads.conformance.example"))

    def test_deleting_a_definition_deletes_its_objects(self):
        path = self.install("doomed", "Doom")
        self.made(self.api.post(path, self.thing("Doom")))
        with self.api.watch(path, resourceVersion=self.api.get(path).version) as watch:
            self.made(self.api.delete(f"{DEFINITIONS}/doomed.conformance.example"))
            self.assertEqual(watch.named(), "DELETED x")
            while (event := watch.next()) is not None:
                self.assertIn(event[0], ("BOOKMARK", "ERROR"))
        eventually("the resource is served no more", lambda: self.gone(path))
        eventually("the definition is gone", lambda: self.gone(f"{DEFINITIONS}/doomed.conformance.example"))

    def test_a_definition_comes_back_empty(self):
        path = self.install("phoenixes", "Phoenix")
        self.made(self.api.post(path, self.thing("Phoenix")))
        old = self.api.get(path).version
        self.made(self.api.delete(f"{DEFINITIONS}/phoenixes.conformance.example"))
        eventually("the definition is gone", lambda: self.gone(f"{DEFINITIONS}/phoenixes.conformance.example"))
        installed(self.api, definition("phoenixes", "Phoenix"))
        self.assertEqual(self.api.get(path).names, [])
        made = self.made(self.api.post(path, self.thing("Phoenix")))
        self.assertGreater(int(made["metadata"]["resourceVersion"]), int(old))

    def test_a_changed_schema_applies_to_the_next_write(self):
        path = self.install("movers", "Mover")
        self.made(self.api.post(path, self.thing("Mover")))
        schema = copy.deepcopy(SCHEMA)
        schema["properties"]["spec"]["properties"]["extra"] = {"type": "string", "default": "new"}
        installed(self.api, definition("movers", "Mover", schema=schema))
        # A read fills in the new default as well.
        eventually("the new default", lambda: self.api.get(f"{path}/x").body["spec"].get("extra") == "new")
        after = self.made(self.api.patch(f"{path}/x", {"spec": {"extra": "set"}}))
        self.assertEqual(after["spec"]["extra"], "set")

    def test_a_watch_of_what_is_not_defined(self):
        answer = self.api.watch("/apis/conformance.example/v1/nevers")
        self.assertIsInstance(answer, Answer)
        self.assertEqual(answer.code, 404)
