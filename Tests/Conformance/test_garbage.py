"""Deletion: finalizers, owners and their dependents, namespaces."""

from client import eventually
from servers import Conformance, installed
from widgets import WIDGETS, widget


class Deletion(Conformance):
    def owned(self, name, *owners, block=False, **more):
        references = [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
                       "uid": owner["metadata"]["uid"], **({"blockOwnerDeletion": True} if block else {})}
                      for owner in owners]
        return self.make(name, ownerReferences=references, **more)

    def config(self, name):
        return self.core("configmaps", name)

    def marked(self, name):
        return "deletionTimestamp" in self.made(self.api.get(self.config(name)))["metadata"]

    def test_a_finalizer_holds_the_object(self):
        self.make("a", finalizers=["example.com/hold"])
        answer = self.made(self.api.delete(self.config("a")))
        self.assertEqual(answer["kind"], "ConfigMap")
        self.assertTrue(self.marked("a"))
        answer = self.api.patch(self.config("a"), {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}})
        self.refused(answer, 422, "Invalid")
        self.made(self.api.patch(self.config("a"), {"data": {"still": "writable"}}))
        self.made(self.api.patch(self.config("a"), {"metadata": {"finalizers": None}}))
        self.assertTrue(self.gone(self.config("a")))

    def test_a_held_object_is_deleted_only_once(self):
        made = self.make("a", finalizers=["example.com/hold"])
        self.made(self.api.delete(self.config("a")))
        first = self.made(self.api.get(self.config("a")))["metadata"]
        self.made(self.api.delete(self.config("a")))
        second = self.made(self.api.get(self.config("a")))["metadata"]
        self.assertEqual(first["deletionTimestamp"], second["deletionTimestamp"])
        self.assertEqual(made["metadata"]["uid"], second["uid"])
        self.made(self.api.patch(self.config("a"), {"metadata": {"finalizers": []}}))

    def test_a_finalizer_needs_a_qualified_name(self):
        self.refused(self.api.post(self.core("configmaps"), self.config_map("a", finalizers=["plain"])), 422, "Invalid")

    def test_the_watch_tells_both_steps(self):
        self.make("a", finalizers=["example.com/hold"])
        with self.api.watch(self.core("configmaps"), resourceVersion=self.api.get(self.core("configmaps")).version) as watch:
            self.made(self.api.delete(self.config("a")))
            kind, found = watch.next()
            self.assertEqual(kind, "MODIFIED")
            self.assertIn("deletionTimestamp", found["metadata"])
            self.made(self.api.patch(self.config("a"), {"metadata": {"finalizers": None}}))
            self.assertEqual(watch.named(), "DELETED a")

    def test_dependents_follow_in_the_background(self):
        owner = self.make("owner")
        self.owned("child", owner)
        self.owned("grandchild", self.made(self.api.get(self.config("child"))))
        self.make("bystander")
        self.made(self.api.delete(self.config("owner"), {"propagationPolicy": "Background"}))
        self.assertTrue(self.gone(self.config("owner")))
        for name in ("child", "grandchild"):
            eventually(f"{name} is collected", lambda: self.gone(self.config(name)))
        self.assertFalse(self.gone(self.config("bystander")))

    def test_background_is_the_default(self):
        self.owned("child", self.make("owner"))
        self.made(self.api.delete(self.config("owner")))
        eventually("the child is collected", lambda: self.gone(self.config("child")))

    def test_orphans_stay_and_forget_their_owner(self):
        self.owned("child", self.make("owner"))
        self.made(self.api.delete(self.config("owner"), {"propagationPolicy": "Orphan"}))
        eventually("the owner is gone", lambda: self.gone(self.config("owner")))
        meta = self.made(self.api.get(self.config("child")))["metadata"]
        self.assertFalse(meta.get("ownerReferences"))

    def test_the_foreground_waits_for_blocking_dependents(self):
        self.owned("child", self.make("owner"), block=True, finalizers=["example.com/hold"])
        answer = self.made(self.api.delete(self.config("owner"), {"propagationPolicy": "Foreground"}))
        self.assertIn("foregroundDeletion", answer["metadata"]["finalizers"])
        eventually("the child is marked", lambda: self.marked("child"))
        self.assertTrue(self.marked("owner"))
        self.made(self.api.patch(self.config("child"), {"metadata": {"finalizers": None}}))
        eventually("the child is gone", lambda: self.gone(self.config("child")))
        eventually("the owner is gone", lambda: self.gone(self.config("owner")))

    def test_a_second_owner_keeps_the_dependent(self):
        one, two = self.make("one"), self.make("two")
        self.owned("child", one, two)
        self.made(self.api.delete(self.config("one")))
        left = eventually("the first owner is struck off", lambda: [
            ref["name"] for ref in self.api.get(self.config("child")).body["metadata"]["ownerReferences"]] == ["two"])
        self.assertTrue(left)
        self.made(self.api.delete(self.config("two")))
        eventually("the child is collected", lambda: self.gone(self.config("child")))

    def test_an_owner_that_never_was(self):
        """A dependent of an owner that is already gone is garbage from the beginning."""
        owner = self.make("owner")
        self.made(self.api.delete(self.config("owner")))
        self.owned("child", owner)
        eventually("the child is collected", lambda: self.gone(self.config("child")))

    def test_an_owner_of_the_same_name_is_another(self):
        owner = self.make("owner")
        self.made(self.api.delete(self.config("owner")))
        self.make("owner")
        self.owned("child", owner)
        eventually("the child is collected", lambda: self.gone(self.config("child")))

    def test_only_one_owner_controls(self):
        one, two = self.make("one"), self.make("two")
        references = [{"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"], "controller": True,
                       "uid": owner["metadata"]["uid"]} for owner in (one, two)]
        answer = self.api.post(self.core("configmaps"), self.config_map("child", ownerReferences=references))
        self.assertEqual(self.refused(answer, 422, "Invalid").causes, ["metadata.ownerReferences"])
        del references[0]["uid"]
        answer = self.api.post(self.core("configmaps"), self.config_map("child", ownerReferences=references[:1]))
        self.refused(answer, 422, "Invalid")

    def test_custom_resources_own_and_are_owned(self):
        installed(self.api, WIDGETS)
        path = self.group("conformance.example/v1", "widgets")
        owner = self.made(self.api.post(path, widget("owner")))
        child = widget("child", ownerReferences=[{
            "apiVersion": owner["apiVersion"], "kind": "Widget", "name": "owner", "uid": owner["metadata"]["uid"],
            "controller": True, "blockOwnerDeletion": True}])
        self.made(self.api.post(path, child))
        self.owned("config", owner)
        self.made(self.api.delete(f"{path}/owner", {"propagationPolicy": "Foreground"}))
        # A real collector looks for new kinds every half minute.
        for gone in (f"{path}/child", f"{path}/owner", self.config("config")):
            eventually(f"{gone} is collected", lambda: self.gone(gone), 120)

    def test_a_namespace_takes_its_objects_along(self):
        name = f"{self.namespace}-inner"[-60:].strip("-")
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.assertEqual(self.made(self.api.post("/api/v1/namespaces", namespace))["status"]["phase"], "Active")
        path = f"/api/v1/namespaces/{name}"
        self.made(self.api.post(f"{path}/configmaps", self.config_map("held", finalizers=["example.com/hold"])))
        self.made(self.api.delete(path))
        eventually("its object is marked", lambda: "deletionTimestamp" in self.api.get(
            f"{path}/configmaps/held").body["metadata"])
        self.assertEqual(self.made(self.api.get(path))["status"]["phase"], "Terminating")
        self.refused(self.api.post(f"{path}/configmaps", self.config_map("late")), 403, "Forbidden")
        self.made(self.api.patch(f"{path}/configmaps/held", {"metadata": {"finalizers": None}}))
        eventually("the namespace is gone", lambda: self.gone(path))
