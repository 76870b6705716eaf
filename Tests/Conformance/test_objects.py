"""Objects over their life: create, read, update, delete, and what makes each of them fail."""

from servers import Conformance


class Objects(Conformance):
    def test_created_object_has_identity(self):
        made = self.make("a", {"k": "v"}, labels={"app": "x"})
        self.assertEqual((made["apiVersion"], made["kind"], made["data"]), ("v1", "ConfigMap", {"k": "v"}))
        meta = made["metadata"]
        self.assertRegex(meta["uid"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        self.assertRegex(meta["creationTimestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertGreater(int(meta["resourceVersion"]), 0)
        self.assertEqual((meta["namespace"], meta["labels"]), (self.namespace, {"app": "x"}))
        self.assertEqual(self.made(self.api.get(self.core("configmaps", "a"))), made)

    def test_a_second_create_is_refused(self):
        self.make("a")
        answer = self.refused(self.api.post(self.core("configmaps"), self.config_map("a")), 409, "AlreadyExists")
        self.assertEqual(answer.message, 'configmaps "a" already exists')
        self.assertEqual(answer.body["details"], {"name": "a", "kind": "configmaps"})

    def test_what_is_not_there_is_not_found(self):
        for answer in (self.api.get(self.core("configmaps", "no")), self.api.delete(self.core("configmaps", "no")),
                       self.api.patch(self.core("configmaps", "no"), {"data": {}})):
            self.refused(answer, 404, "NotFound")
            self.assertEqual(answer.message, 'configmaps "no" not found')
            self.assertEqual(answer.body["details"]["name"], "no")

    def test_an_unknown_resource_is_not_found(self):
        for path in ("/api/v1/nothings", "/apis/nobody.example/v1/things", self.core("nothings")):
            answer = self.api.get(path)
            self.assertEqual(answer.code, 404, answer)

    def test_generated_names_differ(self):
        names = set()
        for _ in range(5):
            body = self.config_map("")
            body["metadata"] = {"generateName": "gen-"}
            made = self.made(self.api.post(self.core("configmaps"), body))
            self.assertRegex(made["metadata"]["name"], r"^gen-[a-z0-9]{5}$")
            self.assertEqual(made["metadata"]["generateName"], "gen-")
            names.add(made["metadata"]["name"])
        self.assertEqual(len(names), 5)

    def test_invalid_names_and_labels_are_refused(self):
        for name in ("Upper", "under_score", "-dash", "dash-", "a..b", "x" * 254):
            with self.subTest(name=name):
                answer = self.refused(self.api.post(self.core("configmaps"), self.config_map(name)), 422, "Invalid")
                self.assertIn("metadata.name", answer.causes)
        answer = self.api.post(self.core("configmaps"), self.config_map(""))
        self.refused(answer, 422, "Invalid")
        for labels in ({"a": "has space"}, {"bad key!": "x"}, {"a": "x" * 64}):
            with self.subTest(labels=labels):
                answer = self.refused(
                    self.api.post(self.core("configmaps"), self.config_map("a", labels=labels)), 422, "Invalid")
                self.assertEqual(answer.causes, ["metadata.labels"])

    def test_an_update_replaces_the_whole_object(self):
        made = self.make("a", {"k": "1", "other": "x"}, labels={"l": "1"})
        del made["data"]["other"], made["metadata"]["labels"]
        made["data"]["k"] = "2"
        after = self.made(self.api.put(self.core("configmaps", "a"), made))
        self.assertEqual(after["data"], {"k": "2"})
        self.assertNotIn("labels", after["metadata"])
        self.assertNotEqual(after["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"])
        for kept in ("uid", "creationTimestamp"):
            self.assertEqual(after["metadata"][kept], made["metadata"][kept])

    def test_an_update_of_an_old_version_conflicts(self):
        old = self.make("a", {"k": "1"})
        self.made(self.api.patch(self.core("configmaps", "a"), {"data": {"k": "2"}}))
        old["data"]["k"] = "3"
        answer = self.refused(self.api.put(self.core("configmaps", "a"), old), 409, "Conflict")
        self.assertEqual(answer.message, 'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
                                         'please apply your changes to the latest version and try again')
        self.assertEqual(self.made(self.api.get(self.core("configmaps", "a")))["data"], {"k": "2"})

    def test_an_update_without_a_version_is_unconditional(self):
        made = self.make("a", {"k": "1"})
        self.made(self.api.patch(self.core("configmaps", "a"), {"data": {"k": "2"}}))
        del made["metadata"]["resourceVersion"]
        made["data"]["k"] = "3"
        self.assertEqual(self.made(self.api.put(self.core("configmaps", "a"), made))["data"], {"k": "3"})

    def test_an_update_of_another_incarnation_conflicts(self):
        made = self.make("a")
        made["metadata"]["uid"] = "11111111-1111-1111-1111-111111111111"
        self.refused(self.api.put(self.core("configmaps", "a"), made), 409, "Conflict")

    def test_a_patch_with_an_old_version_conflicts(self):
        old = self.make("a", {"k": "1"})
        self.made(self.api.patch(self.core("configmaps", "a"), {"data": {"k": "2"}}))
        body = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "data": {"k": "3"}}
        self.refused(self.api.patch(self.core("configmaps", "a"), body), 409, "Conflict")

    def test_a_write_that_changes_nothing_keeps_the_version(self):
        made = self.make("a", {"k": "1"})
        again = self.made(self.api.put(self.core("configmaps", "a"), made))
        self.assertEqual(again["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"])
        same = self.made(self.api.patch(self.core("configmaps", "a"), {"data": {"k": "1"}}))
        self.assertEqual(same["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"])

    def test_an_update_of_what_is_not_there(self):
        self.refused(self.api.put(self.core("configmaps", "a"), self.config_map("a")), 404, "NotFound")

    def test_bodies_that_do_not_fit_the_path(self):
        path = self.core("configmaps")
        self.make("a")
        other = self.config_map("b", namespace="elsewhere")
        self.refused(self.api.post(path, other), 400, "BadRequest")
        self.refused(self.api.post(path, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}}), 400,
                     "BadRequest")
        self.refused(self.api.post(path, b"{not json"), 400, "BadRequest")
        self.refused(self.api.put(f"{path}/a", self.config_map("b")), 400, "BadRequest")
        answer = self.api.post(path, self.config_map("b", resourceVersion="1"))
        self.assertIn(answer.code, (400, 500), "old servers take the blame themselves")
        self.assertEqual(answer.message, "resourceVersion should not be set on objects to be created")
        self.refused(self.api.post(path, self.config_map("b", {"k": 1})), 400, "BadRequest")
        self.refused(self.api.post(path, b"data", kind="text/plain"), 415, "UnsupportedMediaType")
        self.refused(self.api.patch(f"{path}/a", {}, kind="application/json"), 415, "UnsupportedMediaType")

    def test_the_path_says_the_kind_of_a_builtin_object(self):
        made = self.made(self.api.post(self.core("configmaps"), {"metadata": {"name": "a"}, "data": {"k": "v"}}))
        self.assertEqual((made["kind"], made["apiVersion"], made["data"]), ("ConfigMap", "v1", {"k": "v"}))

    def test_yaml_is_taken_as_well(self):
        text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  k: 'yes'\n"
        made = self.made(self.api.post(self.core("configmaps"), text.encode(), kind="application/yaml"))
        self.assertEqual(made["data"], {"k": "yes"})

    def test_a_dry_run_stores_nothing(self):
        made = self.made(self.api.post(self.core("configmaps"), self.config_map("a"), dryRun="All"))
        self.assertIn("uid", made["metadata"])
        self.assertTrue(self.gone(self.core("configmaps", "a")))
        self.make("a", {"k": "1"})
        self.assertEqual(self.made(self.api.patch(self.core("configmaps", "a"), {"data": {"k": "2"}}, dryRun="All"))["data"],
                         {"k": "2"})
        self.made(self.api.delete(self.core("configmaps", "a"), dryRun="All"))
        self.assertEqual(self.made(self.api.get(self.core("configmaps", "a")))["data"], {"k": "1"})
        self.refused(self.api.post(self.core("configmaps"), self.config_map("b"), dryRun="yes"), 422, "Invalid")

    def test_deletion_answers_and_removes(self):
        made = self.make("a")
        answer = self.made(self.api.delete(self.core("configmaps", "a")))
        self.assertEqual((answer["kind"], answer["status"]), ("Status", "Success"))
        self.assertEqual(answer["details"]["uid"], made["metadata"]["uid"])
        self.assertTrue(self.gone(self.core("configmaps", "a")))

    def test_deletion_with_a_precondition(self):
        made = self.make("a")
        for wrong in ({"uid": "22222222-2222-2222-2222-222222222222"}, {"resourceVersion": "1"}):
            self.refused(self.api.delete(self.core("configmaps", "a"), {"preconditions": wrong}), 409, "Conflict")
        right = {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]}
        self.made(self.api.delete(self.core("configmaps", "a"), {"preconditions": right}))

    def test_deleting_a_collection_by_label(self):
        for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
            self.make(name, labels={"app": label})
        self.made(self.api.delete(self.core("configmaps"), labelSelector="app=x"))
        self.assertEqual(self.api.get(self.core("configmaps"), labelSelector="app").names, ["c"])

    def test_an_object_in_a_namespace_that_is_not_there(self):
        path = "/api/v1/namespaces/no-such-namespace/configmaps"
        answer = self.refused(self.api.post(path, self.config_map("a")), 404, "NotFound")
        self.assertIn('namespaces "no-such-namespace" not found', answer.message)
        self.assertEqual(self.api.get(path).names, [])

    def test_methods_that_do_not_exist(self):
        self.assertEqual(self.api.put(self.core("configmaps"), self.config_map("a")).code, 405)
        self.assertEqual(self.api.post(self.core("configmaps", "a"), self.config_map("a")).code, 405)

    def test_secrets_are_base64_and_keep_their_type(self):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "example.com/kind",
                  "data": {"a": "aGk="}, "stringData": {"b": "there"}}
        made = self.made(self.api.post(self.core("secrets"), secret))
        self.assertEqual(made["data"], {"a": "aGk=", "b": "dGhlcmU="})
        self.assertNotIn("stringData", made)
        answer = self.api.patch(self.core("secrets", "s"), {"type": "Opaque"})
        self.assertEqual(self.refused(answer, 422, "Invalid").causes, ["type"])
        secret["metadata"]["name"], secret["data"] = "t", {"a": "not base64!"}
        self.refused(self.api.post(self.core("secrets"), secret), 400, "BadRequest")
        plain = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "u"}}
        self.assertEqual(self.made(self.api.post(self.core("secrets"), plain))["type"], "Opaque")

    def test_immutable_config_is_immutable(self):
        body = self.config_map("a", {"k": "1"}) | {"immutable": True}
        self.made(self.api.post(self.core("configmaps"), body))
        answer = self.api.patch(self.core("configmaps", "a"), {"data": {"k": "2"}})
        self.assertEqual(self.refused(answer, 422, "Invalid").causes, ["data"])
        self.made(self.api.patch(self.core("configmaps", "a"), {"metadata": {"labels": {"still": "open"}}}))

    def test_status_of_a_pod_is_a_subresource(self):
        made = self.make_pod("p")
        self.assertEqual(made["status"]["phase"], "Pending")
        body = {"status": {"phase": "Running"}, "metadata": {"labels": {"sneaky": "yes"}}}
        after = self.made(self.api.patch(self.core("pods", "p") + "/status", body))
        self.assertEqual(after["status"]["phase"], "Running")
        after = self.made(self.api.patch(self.core("pods", "p"), {"status": {"phase": "Failed"}}))
        self.assertEqual(after["status"]["phase"], "Running")

    def test_leases_hold_micro_times(self):
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
                 "spec": {"holderIdentity": "me", "leaseDurationSeconds": 10,
                          "renewTime": "2026-01-02T03:04:05.123456Z", "leaseTransitions": 0}}
        path = self.group("coordination.k8s.io/v1", "leases")
        made = self.made(self.api.post(path, lease))
        self.assertEqual(made["spec"], lease["spec"])
        old = made["metadata"]["resourceVersion"]
        made["spec"]["holderIdentity"] = "you"
        self.made(self.api.put(f"{path}/l", made))
        made["metadata"]["resourceVersion"] = old
        self.refused(self.api.put(f"{path}/l", made), 409, "Conflict")
