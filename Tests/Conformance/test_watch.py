"""Watches: what they miss and what they must not, resume, bookmarks, 410."""

from client import Answer, eventually
from servers import Conformance


class Watches(Conformance):
    def path(self):
        return self.core("configmaps")

    def now(self):
        return self.api.get(self.path()).version

    def change(self, name, value, **more):
        return self.made(self.api.patch(self.core("configmaps", name), {"data": {"k": value}, **more}))

    def test_events_come_in_order(self):
        with self.api.watch(self.path(), resourceVersion=self.now()) as watch:
            self.make("a", {"k": "1"})
            self.change("a", "2")
            self.make("b")
            self.api.delete(self.core("configmaps", "a"))
            self.assertEqual([watch.named() for _ in range(4)], ["ADDED a", "MODIFIED a", "ADDED b", "DELETED a"])

    def test_a_watch_resumes_where_it_was(self):
        self.make("a", {"k": "1"})
        version = self.change("a", "2")["metadata"]["resourceVersion"]
        self.change("a", "3")
        self.make("b")
        self.api.delete(self.core("configmaps", "b"))
        with self.api.watch(self.path(), resourceVersion=version) as watch:
            kind, first = watch.next()
            self.assertEqual((kind, first["data"]["k"]), ("MODIFIED", "3"))
            self.assertEqual([watch.named() for _ in range(2)], ["ADDED b", "DELETED b"])

    def test_versions_grow_and_a_deletion_has_its_own(self):
        with self.api.watch(self.path(), resourceVersion=self.now()) as watch:
            made = self.make("a", {"k": "1"})
            self.change("a", "2")
            self.api.delete(self.core("configmaps", "a"))
            events = [watch.next() for _ in range(3)]
        versions = [int(found["metadata"]["resourceVersion"]) for _, found in events]
        self.assertEqual(versions, sorted(set(versions)))
        self.assertEqual(versions[0], int(made["metadata"]["resourceVersion"]))
        self.assertEqual(events[2][1]["data"], {"k": "2"})
        with self.api.watch(self.path(), resourceVersion=versions[2]) as watch:
            self.make("b")
            self.assertEqual(watch.named(), "ADDED b")

    def test_a_watch_from_nothing_begins_with_what_is_there(self):
        self.make("a", labels={"here": "yes"})
        self.make("b", labels={"here": "yes"})
        for query in ({}, {"resourceVersion": "0"}):
            with self.subTest(query=query), self.api.watch(self.path(), labelSelector="here", **query) as watch:
                self.assertEqual({watch.named(), watch.named()}, {"ADDED a", "ADDED b"})

    def test_a_selected_object_comes_and_goes(self):
        self.make("a", {"k": "1"}, labels={"app": "y"})
        with self.api.watch(self.path(), resourceVersion=self.now(), labelSelector="app=x") as watch:
            self.change("a", "2", metadata={"labels": {"app": "x"}})
            self.change("a", "3")
            self.change("a", "4", metadata={"labels": {"app": "y"}})
            self.change("a", "5")
            self.change("a", "6", metadata={"labels": {"app": "x"}})
            self.api.delete(self.core("configmaps", "a"))
            events = [watch.next() for _ in range(5)]
        self.assertEqual([kind for kind, _ in events], ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"])
        self.assertEqual([found["data"]["k"] for _, found in events], ["2", "3", "3", "6", "6"])

    def test_one_object_by_its_name(self):
        version = self.now()
        with self.api.watch(self.path(), resourceVersion=version, fieldSelector="metadata.name=b") as watch:
            self.make("a")
            self.make("b")
            self.assertEqual(watch.named(), "ADDED b")
        # A path with a name is a question about one object, whatever else it says.
        self.assertEqual(self.made(self.api.get(self.core("configmaps", "b"), watch="true"))["metadata"]["name"], "b")

    def test_a_watch_of_all_namespaces(self):
        with self.api.watch("/api/v1/configmaps", resourceVersion=self.now(), labelSelector=f"of={self.namespace}") as watch:
            self.make("a", labels={"of": self.namespace})
            self.assertEqual(watch.named(), "ADDED a")

    def test_a_watch_ends_in_time(self):
        with self.api.watch(self.path(), resourceVersion=self.now(), timeoutSeconds="1") as watch:
            self.assertIsNone(watch.next())

    def test_bookmarks_carry_a_version_to_go_on_from(self):
        version = self.now()
        # A real server sends one shortly before the watch ends, and else about once a minute.
        with self.api.watch(self.path(), resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds="8") as watch:
            other = self.made(self.api.post("/api/v1/namespaces/default/configmaps", self.config_map(self.namespace)))
            self.addCleanup(self.api.delete, f"/api/v1/namespaces/default/configmaps/{self.namespace}")
            reached = int(other["metadata"]["resourceVersion"])
            bookmarks = []
            while (event := watch.next()) is not None:
                self.assertEqual(event[0], "BOOKMARK", event)
                self.assertEqual((event[1]["kind"], event[1]["apiVersion"]), ("ConfigMap", "v1"))
                bookmarks.append(int(event[1]["metadata"]["resourceVersion"]))
        self.assertTrue(bookmarks, "the watch ended without a bookmark")
        self.assertGreaterEqual(bookmarks[-1], reached)
        with self.api.watch(self.path(), resourceVersion=bookmarks[-1]) as watch:
            self.make("a")
            self.assertEqual(watch.named(), "ADDED a")

    def test_no_bookmarks_where_none_were_asked_for(self):
        with self.api.watch(self.path(), resourceVersion=self.now(), timeoutSeconds="8") as watch:
            self.assertIsNone(watch.next())

    def expired(self, version):
        """A forgotten version is refused at once or by the first event; clients must understand both."""
        watch = self.api.watch(self.path(), resourceVersion=version)
        if isinstance(watch, Answer):
            return watch.body
        with watch:
            kind, status = watch.next()
            self.assertEqual(kind, "ERROR", status)
            return status

    def test_a_forgotten_version_is_gone(self):
        version = self.make("a")["metadata"]["resourceVersion"]
        self.make("b")
        self.server.forget_history(self.api)
        status = eventually("an answer", lambda: self.expired(version))
        self.assertEqual((status["kind"], status["code"]), ("Status", 410), status)
        self.assertIn(status["reason"], ("Expired", "Gone"))
        fresh = self.api.get(self.path())
        self.assertLessEqual({"a", "b"}, set(fresh.names))
        with self.api.watch(self.path(), resourceVersion=fresh.version) as watch:
            self.make("c")
            self.assertEqual(watch.named(), "ADDED c")

    def test_a_malformed_version_is_refused(self):
        answer = self.api.watch(self.path(), resourceVersion="abc")
        self.assertIsInstance(answer, Answer)
        self.assertIn(answer.code, (400, 500), "a server's fault before 1.21, the sender's since")
        self.assertIn("resourceVersion", answer.message)

    def test_writes_and_watches_agree_under_load(self):
        """Every state that a writer was told of is seen, in its order."""
        written = []
        with self.api.watch(self.path(), resourceVersion=self.now()) as watch:
            for number in range(60):
                name = f"c{number % 5}"
                made = self.make(name, {"k": str(number)}) if number < 5 else self.change(name, str(number))
                written.append((name, made["metadata"]["resourceVersion"]))
            seen = [watch.next()[1]["metadata"] for _ in range(60)]
        self.assertEqual([(found["name"], found["resourceVersion"]) for found in seen], written)
