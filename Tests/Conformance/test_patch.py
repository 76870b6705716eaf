"""The three kinds of patches."""

from client import JSON_PATCH, STRATEGIC
from servers import Conformance


class Patches(Conformance):
    def patched(self, body, kind, **data):
        self.make("a", data or {"k": "1", "l": "2"}, labels={"x": "1"})
        return self.api.patch(self.core("configmaps", "a"), body, kind=kind)

    def test_merge_patch_sets_and_removes(self):
        self.make("a", {"k": "1", "l": "2"}, labels={"x": "1"})
        after = self.made(self.api.patch(self.core("configmaps", "a"), {
            "data": {"k": None, "m": "3"}, "metadata": {"labels": None}}))
        self.assertEqual(after["data"], {"l": "2", "m": "3"})
        self.assertNotIn("labels", after["metadata"])

    def test_json_patch_operations(self):
        after = self.made(self.patched([
            {"op": "test", "path": "/data/k", "value": "1"},
            {"op": "add", "path": "/data/new", "value": "n"},
            {"op": "replace", "path": "/data/k", "value": "9"},
            {"op": "move", "from": "/data/l", "path": "/data/moved"},
            {"op": "copy", "from": "/data/k", "path": "/data/copied"},
            {"op": "add", "path": "/metadata/labels/example.com~1part", "value": "p"},
            {"op": "remove", "path": "/metadata/labels/x"}], JSON_PATCH))
        self.assertEqual(after["data"], {"k": "9", "new": "n", "moved": "2", "copied": "9"})
        self.assertEqual(after["metadata"]["labels"], {"example.com/part": "p"})

    def test_a_failed_test_changes_nothing(self):
        answer = self.patched([{"op": "replace", "path": "/data/k", "value": "9"},
                               {"op": "test", "path": "/data/l", "value": "wrong"}], JSON_PATCH)
        self.refused(answer, 422, "Invalid")
        self.assertEqual(self.made(self.api.get(self.core("configmaps", "a")))["data"], {"k": "1", "l": "2"})

    def test_json_patches_that_cannot_be_done(self):
        self.make("a", {"k": "1"})
        for steps, code, reason in (
                ([{"op": "add", "path": "/nothing/here", "value": "1"}], 422, "Invalid"),
                ([{"op": "remove", "path": "/data/no"}], 422, "Invalid"),
                ({"op": "add"}, 400, "BadRequest")):
            with self.subTest(steps=steps):
                self.refused(self.api.patch(self.core("configmaps", "a"), steps, kind=JSON_PATCH), code, reason)

    def test_a_json_patch_replaces_only_what_is_there(self):
        self.make("a", {"k": "1"})
        step = {"op": "replace", "path": "/data/no", "value": "1"}
        answer = self.api.patch(self.core("configmaps", "a"), [step], kind=JSON_PATCH)
        # Old servers put it in.
        self.assertEqual(answer.code, 422 if self.minor >= 22 else 200, answer)

    def pod(self):
        self.make_pod("p", restartPolicy="Never", metadata={"finalizers": ["example.com/one"]}, containers=[
            {"name": "a", "image": "one"}, {"name": "b", "image": "two"}])

    def test_strategic_patch_merges_lists_by_key(self):
        self.pod()
        after = self.made(self.api.patch(self.core("pods", "p"), {
            "spec": {"containers": [{"name": "b", "image": "three"}]},
            "metadata": {"finalizers": ["example.com/two"]}}, kind=STRATEGIC))
        self.assertEqual([(c["name"], c["image"]) for c in after["spec"]["containers"]], [("a", "one"), ("b", "three")])
        self.assertEqual(set(after["metadata"]["finalizers"]), {"example.com/one", "example.com/two"})
        self.made(self.api.patch(self.core("pods", "p"), {"metadata": {"finalizers": None}}))

    def test_strategic_patch_of_conditions(self):
        self.pod()
        path = self.core("pods", "p") + "/status"
        for kind, status in (("Ready", "False"), ("Other", "True"), ("Ready", "True")):
            self.made(self.api.patch(path, {"status": {"conditions": [{"type": kind, "status": status}]}}, kind=STRATEGIC))
        after = self.made(self.api.patch(path, {"status": {"conditions": [
            {"$patch": "delete", "type": "Other"}]}}, kind=STRATEGIC))
        self.assertEqual([(c["type"], c["status"]) for c in after["status"]["conditions"]], [("Ready", "True")])
        self.made(self.api.patch(self.core("pods", "p"), {"metadata": {"$deleteFromPrimitiveList/finalizers": [
            "example.com/one"]}}, kind=STRATEGIC))

    def test_strategic_patch_directives(self):
        self.make("a", {"k": "1", "l": "2"})
        after = self.made(self.api.patch(self.core("configmaps", "a"), {
            "data": {"$patch": "replace", "only": "this"}}, kind=STRATEGIC))
        self.assertEqual(after["data"], {"only": "this"})
        after = self.made(self.api.patch(self.core("configmaps", "a"), {"data": {"only": None, "k": "1"}}, kind=STRATEGIC))
        self.assertEqual(after["data"], {"k": "1"})

    def test_a_merge_patch_replaces_lists(self):
        self.pod()
        after = self.made(self.api.patch(self.core("pods", "p"), {"metadata": {"finalizers": ["example.com/three"]}}))
        self.assertEqual(after["metadata"]["finalizers"], ["example.com/three"])
        self.made(self.api.patch(self.core("pods", "p"), {"metadata": {"finalizers": []}}))

    def test_identity_cannot_be_patched(self):
        made = self.make("a")
        for metadata in ({"uid": "33333333-3333-3333-3333-333333333333"}, {"name": "b"}, {"namespace": "default"}):
            with self.subTest(metadata=metadata):
                answer = self.api.patch(self.core("configmaps", "a"), {"metadata": metadata})
                self.assertIn(answer.code, (400, 409, 422), answer)
        self.made(self.api.patch(self.core("configmaps", "a"), {"metadata": {"creationTimestamp": None}}))
        after = self.made(self.api.get(self.core("configmaps", "a")))["metadata"]
        self.assertEqual((after["uid"], after["creationTimestamp"]),
                         (made["metadata"]["uid"], made["metadata"]["creationTimestamp"]))
