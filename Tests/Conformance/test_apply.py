"""Server-side apply: who owns which field, and who may take it."""

import copy

from servers import Conformance, installed
from widgets import SCHEMA, definition

# Without the field that is a number or a string: 1.20 cannot read such schemas for apply, and takes every list as one.
CRATE = copy.deepcopy(SCHEMA)
del CRATE["properties"]["spec"]["properties"]["either"]


class Applies(Conformance):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        installed(cls.api, definition("crates", "Crate", schema=CRATE))

    def apply(self, manager, data=None, name="a", **more):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name} | more.pop("metadata", {})}
        if data is not None:
            body["data"] = data
        return self.api.apply(self.core("configmaps", name), body, manager, **more)

    def owners(self, made):
        """{manager: fields} of the entries in managedFields."""
        return {entry["manager"]: entry["fieldsV1"] for entry in made["metadata"]["managedFields"]}

    def test_apply_creates_and_says_who_owns(self):
        answer = self.apply("one", {"k": "1"})
        self.assertEqual(answer.code, 201, answer)
        (entry,) = answer.body["metadata"]["managedFields"]
        self.assertEqual((entry["manager"], entry["operation"], entry["apiVersion"], entry["fieldsType"]),
                         ("one", "Apply", "v1", "FieldsV1"))
        self.assertIn("f:k", entry["fieldsV1"]["f:data"])
        self.assertEqual(self.apply("one", {"k": "1"}).code, 200)

    def test_an_apply_that_changes_nothing_keeps_the_version(self):
        first = self.made(self.apply("one", {"k": "1"}))
        second = self.made(self.apply("one", {"k": "1"}))
        self.assertEqual(first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"])

    def test_another_managers_value_is_a_conflict(self):
        self.made(self.apply("one", {"k": "1", "l": "1"}))
        answer = self.refused(self.apply("two", {"k": "2"}), 409, "Conflict")
        self.assertIn('conflict with "one"', answer.message)
        (cause,) = answer.body["details"]["causes"]
        self.assertEqual((cause["reason"], cause["field"]), ("FieldManagerConflict", ".data.k"))
        self.assertEqual(self.made(self.api.get(self.core("configmaps", "a")))["data"], {"k": "1", "l": "1"})

    def test_several_conflicts_are_all_named(self):
        self.made(self.apply("one", {"k": "1", "l": "1"}))
        answer = self.refused(self.apply("two", {"k": "2", "l": "2"}), 409, "Conflict")
        self.assertEqual(sorted(answer.causes), [".data.k", ".data.l"])

    def test_force_takes_the_field(self):
        self.made(self.apply("one", {"k": "1", "l": "1"}))
        made = self.made(self.apply("two", {"k": "2"}, force="true"))
        self.assertEqual(made["data"], {"k": "2", "l": "1"})
        owners = self.owners(made)
        self.assertNotIn("f:k", owners["one"]["f:data"])
        self.assertIn("f:k", owners["two"]["f:data"])
        self.refused(self.apply("one", {"k": "1", "l": "1"}), 409, "Conflict")

    def test_the_same_value_is_shared(self):
        self.made(self.apply("one", {"k": "1"}))
        owners = self.owners(self.made(self.apply("two", {"k": "1"})))
        self.assertTrue("f:k" in owners["one"]["f:data"] and "f:k" in owners["two"]["f:data"])
        # The first gives it up; it stays, as the other still wants it.
        self.assertEqual(self.made(self.apply("one", {"m": "1"}))["data"], {"k": "1", "m": "1"})

    def test_what_is_applied_no_more_is_removed(self):
        self.made(self.apply("one", {"k": "1", "l": "1"}, metadata={"labels": {"x": "1"}}))
        made = self.made(self.apply("one", {"k": "1"}))
        self.assertEqual(made["data"], {"k": "1"})
        self.assertNotIn("labels", made["metadata"])

    def test_what_another_wrote_stays(self):
        self.made(self.apply("one", {"k": "1"}))
        self.made(self.api.patch(self.core("configmaps", "a"), {"data": {"l": "1"}}, fieldManager="hand"))
        made = self.made(self.apply("one", {"k": "2"}))
        self.assertEqual(made["data"], {"k": "2", "l": "1"})
        self.assertIn("f:l", self.owners(made)["hand"]["f:data"])

    def test_an_update_takes_the_fields_it_changes(self):
        self.made(self.apply("one", {"k": "1", "l": "1"}))
        made = self.made(self.api.patch(self.core("configmaps", "a"), {"data": {"k": "2"}}, fieldManager="hand"))
        owners = self.owners(made)
        self.assertNotIn("f:k", owners["one"]["f:data"])
        self.assertIn("f:k", owners["hand"]["f:data"])
        answer = self.refused(self.apply("one", {"k": "1", "l": "1"}), 409, "Conflict")
        self.assertIn('conflict with "hand"', answer.message)

    def test_an_update_is_recorded_under_the_agents_name(self):
        made = self.make("a", {"k": "1"})
        (entry,) = made["metadata"]["managedFields"]
        self.assertEqual((entry["manager"], entry["operation"]), ("conformance", "Update"))

    def test_apply_needs_a_manager_and_no_foreign_claims(self):
        body = self.config_map("a", {"k": "1"})
        path = self.core("configmaps", "a")
        self.assertIn(self.api.patch(path, body, kind="application/apply-patch+yaml").code, (400, 422))
        body["metadata"]["managedFields"] = [{"manager": "x"}]
        self.assertEqual(self.api.apply(path, body, "one").code, 400)

    def test_apply_of_an_old_version_conflicts(self):
        first = self.made(self.apply("one", {"k": "1"}))
        self.made(self.apply("one", {"k": "2"}))
        old = {"resourceVersion": first["metadata"]["resourceVersion"]}
        self.refused(self.apply("one", {"k": "3"}, metadata=old), 409, "Conflict")

    def test_apply_with_a_uid_does_not_create(self):
        answer = self.apply("one", {"k": "1"}, metadata={"uid": "44444444-4444-4444-4444-444444444444"})
        self.assertEqual(answer.code, 409, answer)

    def test_claims_can_be_cleared(self):
        self.made(self.apply("one", {"k": "1"}))
        after = self.made(self.api.patch(self.core("configmaps", "a"), {"metadata": {"managedFields": [{}]}}))
        self.assertNotIn("managedFields", after["metadata"])
        # What nobody claims any more belonged to somebody before: it is not simply overwritten.
        answer = self.refused(self.apply("two", {"k": "2"}), 409, "Conflict")
        self.assertIn('conflict with "before-first-apply"', answer.message)
        made = self.made(self.apply("two", {"k": "2"}, force="true"))
        self.assertIn("f:k", self.owners(made)["two"]["f:data"])

    # Custom resources: lists by key, and the status as a concern of its own

    def apply_crate(self, manager, spec=None, status=None, **more):
        body = {"apiVersion": "conformance.example/v1", "kind": "Crate", "metadata": {"name": "w"}}
        if spec is not None:
            body["spec"] = spec
        path = self.group("conformance.example/v1", "crates", "w")
        if status is not None:
            body["status"] = status
            path += "/status"
        return self.api.apply(path, body, manager, **more)

    def test_lists_by_key_have_many_owners(self):
        self.made(self.apply_crate("one", {"color": "red", "parts": [{"name": "a", "size": 1}]}))
        made = self.made(self.apply_crate("two", {"color": "red", "parts": [{"name": "b", "size": 2}]}))
        self.assertEqual([part["name"] for part in made["spec"]["parts"]], ["a", "b"])
        answer = self.refused(self.apply_crate("two", {"color": "red", "parts": [{"name": "a", "size": 9}]}), 409, "Conflict")
        self.assertEqual(answer.causes, ['.spec.parts[name="a"].size'])
        made = self.made(self.apply_crate("one", {"color": "red"}))
        self.assertEqual([part["name"] for part in made["spec"]["parts"]], ["b"])

    def test_status_is_applied_by_itself(self):
        self.made(self.apply_crate("spec-owner", {"color": "red"}))
        ready, other = {"type": "Ready", "status": "True"}, {"type": "Other", "status": "True"}
        made = self.made(self.apply_crate("status-owner", status={
            "replicas": 3, "selector": "a=b", "conditions": [ready, other]}))
        self.assertEqual((made["status"]["replicas"], made["spec"]["color"]), (3, "red"))
        made = self.made(self.apply_crate("status-owner", status={"replicas": 4, "conditions": [ready]}))
        self.assertEqual(made["status"], {"replicas": 4, "conditions": [ready]})
        made = self.made(self.apply_crate("spec-owner", {"color": "red", "mode": "fast"}))
        self.assertEqual(made["status"], {"replicas": 4, "conditions": [ready]})

    def test_status_of_what_is_not_there(self):
        self.refused(self.apply_crate("one", status={"replicas": 1}), 404, "NotFound")

    def test_an_invalid_apply_is_refused(self):
        self.refused(self.apply_crate("one", {"color": "red", "replicas": 99}), 422, "Invalid")
        self.assertTrue(self.gone(self.group("conformance.example/v1", "crates", "w")))
