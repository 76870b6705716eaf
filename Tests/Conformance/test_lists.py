"""Lists: selectors, pages, tables, and what versions they carry."""

from client import eventually
from servers import Conformance

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class Lists(Conformance):
    def setUp(self):
        super().setUp()
        for name, labels in (("a", {"app": "x", "tier": "1"}), ("b", {"app": "x", "tier": "2"}), ("c", {"app": "y"}),
                             ("d", {"plain": ""})):
            self.make(name, {"k": name}, labels=labels | {"here": "yes"})

    def names(self, **query):
        # Newer servers put a certificate into each namespace; the label leaves it out.
        query["labelSelector"] = ",".join(filter(None, [query.get("labelSelector"), "here=yes"]))
        answer = self.api.get(self.core("configmaps"), **query)
        self.assertEqual(answer.code, 200, answer)
        return answer.names

    def test_a_list_has_a_kind_and_a_version(self):
        answer = self.api.get(self.core("configmaps"), labelSelector="here=yes")
        self.assertEqual((answer.body["kind"], answer.body["apiVersion"]), ("ConfigMapList", "v1"))
        self.assertGreaterEqual(int(answer.version), max(int(i["metadata"]["resourceVersion"]) for i in answer.body["items"]))
        self.assertEqual(answer.names, ["a", "b", "c", "d"])

    def test_label_selectors(self):
        for selector, expected in {
                "app=x": "ab", "app==x": "ab", "app!=x": "cd", "app": "abc", "!app": "d", "app=x,tier=2": "b",
                "app in (x,y)": "abc", "app notin (x)": "cd", "tier in (1, 2)": "ab", "app=z": "", "plain=": "d",
                "app,tier!=1": "bc", "app in (y),!tier": "c"}.items():
            with self.subTest(selector=selector):
                self.assertEqual("".join(self.names(labelSelector=selector)), expected)

    def test_malformed_label_selectors_are_refused(self):
        for selector in ("app in x", "a b", "=x", "app=has space", "app in (x", "!app=x", "app===x"):
            with self.subTest(selector=selector):
                self.refused(self.api.get(self.core("configmaps"), labelSelector=selector), 400, "BadRequest")

    def test_field_selectors(self):
        for selector, expected in {
                "metadata.name=b": "b", "metadata.name!=b": "acd", "metadata.name==c": "c",
                f"metadata.namespace={self.namespace}": "abcd", "metadata.namespace=other": "",
                "metadata.name=a,metadata.name=b": ""}.items():
            with self.subTest(selector=selector):
                self.assertEqual("".join(self.names(fieldSelector=selector)), expected)
        for selector in ("data.k=a", "metadata.name", "spec.x=1"):
            with self.subTest(selector=selector):
                self.refused(self.api.get(self.core("configmaps"), fieldSelector=selector), 400, "BadRequest")

    def test_secrets_by_type_and_pods_by_node(self):
        for name, kind in (("s", "example.com/a"), ("t", "example.com/b")):
            self.made(self.api.post(self.core("secrets"), {
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind}))
        self.assertEqual(self.api.get(self.core("secrets"), fieldSelector="type=example.com/b").names, ["t"])
        self.assertEqual(self.api.get(self.core("pods"), fieldSelector="spec.nodeName=n,status.phase=Running").names, [])

    def test_events_by_what_they_are_about(self):
        for name, about in (("e1", "p"), ("e2", "q")):
            self.made(self.api.post(self.core("events"), {
                "apiVersion": "v1", "kind": "Event", "metadata": {"name": name}, "reason": "R", "type": "Normal",
                "involvedObject": {"kind": "Pod", "name": about, "namespace": self.namespace}}))
        answer = self.api.get(self.core("events"), fieldSelector="involvedObject.name=q,involvedObject.kind=Pod")
        self.assertEqual(answer.names, ["e2"])
        self.assertEqual(self.api.get(self.core("events"), fieldSelector="reason=R,type=Warning").names, [])

    def test_pages_show_every_object_once(self):
        names, token, pages = [], "", []
        while True:
            answer = self.api.get(self.core("configmaps"), limit=3, **({"continue": token} if token else {}))
            self.assertEqual(answer.code, 200, answer)
            pages.append(len(answer.names))
            names += answer.names
            token = answer.body["metadata"].get("continue", "")
            if not token:
                self.assertFalse(answer.body["metadata"].get("remainingItemCount"))
                break
            self.assertEqual(pages[-1], 3)
        self.assertEqual([name for name in names if name in "abcd"], ["a", "b", "c", "d"])
        self.assertEqual(len(names), len(set(names)))

    def test_a_first_page_says_how_much_remains(self):
        total = len(self.api.get(self.core("configmaps")).names)
        meta = self.api.get(self.core("configmaps"), limit=1).body["metadata"]
        self.assertEqual(meta["remainingItemCount"], total - 1)

    def test_pages_are_of_one_version(self):
        first = self.api.get(self.core("configmaps"), limit=2)
        self.make("bb", labels={"here": "yes"})
        self.made(self.api.delete(self.core("configmaps", "d")))
        second = self.api.get(self.core("configmaps"), limit=10, **{"continue": first.body["metadata"]["continue"]})
        self.assertEqual(second.version, first.version)
        names = [name for name in first.names + second.names if len(name) < 3]
        self.assertEqual(names, ["a", "b", "c", "d"])

    def test_a_page_of_a_forgotten_version_is_expired(self):
        first = self.api.get(self.core("configmaps"), limit=1)
        self.make("later")  # the newest version is never forgotten
        self.server.forget_history(self.api)
        self.refused(eventually("an answer", lambda: self.api.get(
            self.core("configmaps"), limit=1, **{"continue": first.body["metadata"]["continue"]})), 410, "Expired")

    def test_a_malformed_continue_token_is_refused(self):
        self.refused(self.api.get(self.core("configmaps"), limit=1, **{"continue": "nonsense"}), 400, "BadRequest")

    def test_a_list_of_all_namespaces(self):
        answer = self.api.get("/api/v1/configmaps", labelSelector="here=yes,app=y")
        self.assertIn((self.namespace, "c"), [(i["metadata"]["namespace"], i["metadata"]["name"])
                                             for i in answer.body["items"]])

    def test_a_list_at_least_as_new_as_asked(self):
        made = self.make("e", labels={"here": "yes"})
        version = made["metadata"]["resourceVersion"]
        answer = self.api.get(self.core("configmaps"), resourceVersion=version, labelSelector="here=yes")
        self.assertIn("e", answer.names)
        self.assertEqual(len(self.names(resourceVersion="0")), 5)
        answer = self.api.get(self.core("configmaps"), resourceVersion="x")
        self.assertIn(answer.code, (400, 500), answer)

    def test_tables_are_what_kubectl_prints(self):
        answer = self.api.get(self.core("configmaps"), accept=TABLE, labelSelector="app=x")
        self.assertEqual((answer.body["kind"], answer.body["apiVersion"]), ("Table", "meta.k8s.io/v1"))
        self.assertEqual([column["name"] for column in answer.body["columnDefinitions"]], ["Name", "Data", "Age"])
        self.assertEqual([row["cells"][0] for row in answer.body["rows"]], ["a", "b"])
        self.assertEqual(answer.body["rows"][0]["object"]["kind"], "PartialObjectMetadata")
        one = self.api.get(self.core("configmaps", "c"), accept=TABLE, includeObject="Object")
        self.assertEqual(one.body["rows"][0]["object"]["data"], {"k": "c"})

    def test_discovery_names_what_is_served(self):
        resources = {entry["name"]: entry for entry in self.api.get("/api/v1").body["resources"]}
        for name, kind, namespaced in (("configmaps", "ConfigMap", True), ("namespaces", "Namespace", False),
                                       ("pods", "Pod", True), ("nodes", "Node", False), ("secrets", "Secret", True),
                                       ("pods/status", "Pod", True), ("serviceaccounts/token", "TokenRequest", True)):
            self.assertEqual((resources[name]["kind"], resources[name]["namespaced"]), (kind, namespaced))
        self.assertIn("watch", resources["configmaps"]["verbs"])
        groups = {group["name"] for group in self.api.get("/apis").body["groups"]}
        self.assertLessEqual({"coordination.k8s.io", "rbac.authorization.k8s.io", "apiextensions.k8s.io",
                              "authorization.k8s.io", "events.k8s.io"}, groups)
        for path in ("/healthz", "/livez", "/readyz"):
            self.assertEqual(self.api.get(path, accept="*/*").raw, b"ok")
