"""What people do with kubectl, word for word."""

import json
import signal
import subprocess

from client import Kubectl, eventually
from servers import Conformance, installed, scratch
from widgets import WIDGETS, widget


class KubectlWorkflows(Conformance):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        installed(cls.api, WIDGETS)

    def setUp(self):
        super().setUp()
        base = self.kubectl
        base.base += ["-n", self.namespace]

    def manifest(self, name="w", **spec):
        return json.dumps(widget(name, {"color": "red", **spec}))

    def get(self, path):
        return self.kubectl("get", "widget", "w", "-o", f"jsonpath={{{path}}}")

    def test_apply(self):
        k = self.kubectl
        self.assertIn("widget.conformance.example/w created", k("apply", "-f", "-", stdin=self.manifest(mode="fast")))
        self.assertIn("unchanged", k("apply", "-f", "-", stdin=self.manifest(mode="fast")))
        self.assertIn("configured", k("apply", "-f", "-", stdin=self.manifest(replicas=3)))
        self.assertEqual((self.get(".spec.replicas"), self.get(".spec.mode")), ("3", ""))
        config = json.dumps(self.config_map("c", {"k": "1", "l": "2"}))
        self.assertIn("configmap/c created", k("apply", "-f", "-", stdin=config))
        config = json.dumps(self.config_map("c", {"k": "2"}))
        self.assertIn("configured", k("apply", "-f", "-", stdin=config))
        self.assertEqual(json.loads(k("get", "cm", "c", "-o", "json"))["data"], {"k": "2"})

    def test_apply_a_list_and_prune_nothing(self):
        both = json.dumps({"apiVersion": "v1", "kind": "List", "items": [widget("a"), widget("b"), self.config_map("c")]})
        self.assertEqual(self.kubectl("apply", "-f", "-", stdin=both).count("created"), 3)
        self.assertEqual(self.kubectl("get", "widgets", "-o", "name").split(),
                         ["widget.conformance.example/a", "widget.conformance.example/b"])
        self.assertEqual(self.kubectl("get", "gadgetry", "-o", "name").count("widget"), 2)

    def test_server_side_apply_and_its_conflict(self):
        k = self.kubectl
        k("apply", "--server-side", "--field-manager=one", "-f", "-", stdin=self.manifest(replicas=2))
        complaint = k("apply", "--server-side", "--field-manager=two", "-f", "-", stdin=self.manifest(replicas=3), fails=True)
        self.assertIn("conflict", complaint)
        self.assertIn(".spec.replicas", complaint)
        k("apply", "--server-side", "--field-manager=two", "--force-conflicts", "-f", "-", stdin=self.manifest(replicas=3))
        self.assertEqual(self.get(".spec.replicas"), "3")

    def test_dry_runs(self):
        for how in ("server", "client"):
            self.assertIn("created", self.kubectl("apply", f"--dry-run={how}", "-f", "-", stdin=self.manifest()))
        self.assertIn("NotFound", self.kubectl("get", "widget", "w", fails=True))

    def test_diff(self):
        self.kubectl("apply", "-f", "-", stdin=self.manifest())
        self.assertEqual(self.kubectl("diff", "-f", "-", stdin=self.manifest()), "")
        changed = self.kubectl.run("diff", "-f", "-", stdin=self.manifest(replicas=4))
        self.assertEqual(changed.returncode, 1, changed.stderr)
        self.assertIn("-  replicas: 1", changed.stdout)
        self.assertIn("+  replicas: 4", changed.stdout)

    def test_get_prints_the_columns(self):
        self.kubectl("apply", "-f", "-", stdin=self.manifest(mode="fast"))
        header, row = self.kubectl("get", "wdg").splitlines()
        self.assertEqual((header.split(), row.split()[:2]), (["NAME", "COLOR", "READY", "AGE"], ["w", "red"]))
        header, row = self.kubectl("get", "widgets", "-o", "wide").splitlines()
        self.assertEqual(header.split(), ["NAME", "COLOR", "READY", "MODE", "AGE"])
        self.assertIn("color: red", self.kubectl("get", "widget/w", "-o", "yaml"))
        self.assertEqual(self.kubectl("get", "widgets", "-l", "no=such", "-o", "name"), "")
        self.assertIn("w", self.kubectl("get", "widgets", "--field-selector", "metadata.name=w", "--show-labels"))
        self.assertIn(self.namespace, self.kubectl("get", "widgets", "-A"))

    def test_create_refuses_what_the_schema_refuses(self):
        complaint = self.kubectl("create", "-f", "-", stdin=self.manifest(replicas=99), fails=True)
        self.assertIn("spec.replicas", complaint)
        self.kubectl("create", "-f", "-", stdin=self.manifest())
        self.assertIn("AlreadyExists", self.kubectl("create", "-f", "-", stdin=self.manifest(), fails=True))

    def test_create_shortcuts(self):
        k = self.kubectl
        k("create", "configmap", "c", "--from-literal=k=v")
        k("create", "secret", "generic", "s", "--from-literal=k=v", "--type=example.com/x")
        self.assertEqual(json.loads(k("get", "secret", "s", "-o", "json"))["data"], {"k": "dg=="})
        k("create", "serviceaccount", "sa")
        k("create", "role", "r", "--verb=get", "--resource=configmaps")
        k("create", "rolebinding", "b", "--role=r", f"--serviceaccount={self.namespace}:sa")
        self.assertIn("Role/r", k("get", "rolebindings"))
        token = k("create", "token", "sa").strip()
        self.assertGreater(len(token), 20)

    def test_scale(self):
        self.kubectl("apply", "-f", "-", stdin=self.manifest())
        self.assertIn("scaled", self.kubectl("scale", "widget/w", "--replicas=4"))
        self.assertEqual(self.get(".spec.replicas"), "4")
        self.assertIn("Expected replicas", self.kubectl("scale", "wdg/w", "--current-replicas=2", "--replicas=5", fails=True))
        self.assertIn("invalid", self.kubectl("scale", "wdg/w", "--replicas=99", fails=True).lower())

    def test_patch(self):
        k = self.kubectl
        k("apply", "-f", "-", stdin=self.manifest())
        k("patch", "widget", "w", "--type=merge", "-p", '{"spec":{"mode":"slow"}}')
        k("patch", "widget", "w", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":6}]')
        self.assertEqual((self.get(".spec.mode"), self.get(".spec.replicas")), ("slow", "6"))
        k("patch", "widget", "w", "--subresource=status", "--type=merge", "-p", '{"status":{"replicas":2}}')
        self.assertEqual(self.get(".status.replicas"), "2")
        self.assertIn("no change", k("patch", "widget", "w", "--type=merge", "-p", '{"spec":{"mode":"slow"}}'))

    def test_edit(self):
        with scratch() as folder:
            self.kubectl("apply", "-f", "-", stdin=self.manifest())
            editor = folder / "editor"
            editor.write_text("#!/bin/sh\nsed -i 's/replicas: 1/replicas: 8/' \"$1\"\n")
            editor.chmod(0o700)
            said = self.kubectl("edit", "widget", "w", environment={"KUBE_EDITOR": str(editor)})
            self.assertIn("edited", said)
            self.assertEqual(self.get(".spec.replicas"), "8")
            editor.write_text("#!/bin/sh\nexit 0\n")
            done = self.kubectl.run("edit", "widget", "w", environment={"KUBE_EDITOR": str(editor)})
            self.assertIn("no changes made", done.stdout + done.stderr)

    def test_label_annotate_and_replace(self):
        k = self.kubectl
        k("apply", "-f", "-", stdin=self.manifest())
        self.assertIn("labeled", k("label", "widget", "w", "team=a"))
        self.assertIn("already has a value", k("label", "widget", "w", "team=b", fails=True))
        k("label", "widget", "w", "team-")
        k("annotate", "widget", "w", "note=x")
        self.assertEqual((self.get(".metadata.labels.team"), self.get(".metadata.annotations.note")), ("", "x"))
        k("replace", "-f", "-", stdin=self.manifest(replicas=5))
        self.assertEqual((self.get(".spec.replicas"), self.get(".metadata.annotations.note")), ("5", ""))

    def test_wait(self):
        k = self.kubectl
        k("apply", "-f", "-", stdin=self.manifest())
        waiting = subprocess.Popen(k.command("wait", "--for=condition=Ready", "widget/w", "--timeout=60s"),
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertIn("timed out", k("wait", "--for=condition=Ready", "widget/w", "--timeout=1s", fails=True))
        k("patch", "widget", "w", "--subresource=status", "--type=merge", "-p",
          '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}')
        self.assertIn("condition met", waiting.communicate(timeout=60)[0])
        k("wait", "--for=jsonpath={.spec.color}=red", "widget/w", "--timeout=10s")
        deleting = subprocess.Popen(k.command("wait", "--for=delete", "widget/w", "--timeout=60s"),
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        k("delete", "widget", "w")
        self.assertEqual(deleting.wait(60), 0, deleting.communicate()[0])

    def test_get_watches(self):
        with scratch() as folder, open(folder / "out", "w+") as out:
            watching = subprocess.Popen(self.kubectl.command("get", "widgets", "-w"), stdout=out, stderr=out)
            try:
                self.kubectl("apply", "-f", "-", stdin=self.manifest())
                eventually("the new object is printed", lambda: "red" in (folder / "out").read_text())
                self.kubectl("patch", "widget", "w", "--subresource=status", "--type=merge", "-p",
                             '{"status":{"conditions":[{"type":"Ready","status":"Soon"}]}}')
                eventually("the change is printed", lambda: "Soon" in (folder / "out").read_text())
            finally:
                watching.send_signal(signal.SIGTERM)
                watching.wait(20)

    def test_explain(self):
        # The documentation of a definition follows a moment after it.
        eventually("the schema is published", lambda: "COLOR" in self.kubectl.run("explain", "widget.spec.color").stdout.upper())
        self.assertIn("The colour of the widget.", self.kubectl("explain", "widgets.spec.color"))
        text = self.kubectl("explain", "widget.spec")
        self.assertIn("What the widget should be.", text)
        for field in ("color", "replicas", "parts"):
            self.assertIn(field, text)
        self.assertIn("does not exist", self.kubectl("explain", "widget.spec.nothing", fails=True))
        self.assertIn("metadata", self.kubectl("explain", "configmap"))

    def test_describe(self):
        self.kubectl("apply", "-f", "-", stdin=self.manifest())
        uid = self.get(".metadata.uid")
        event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": self.namespace},
                 "reason": "Painted", "message": "It is red now.", "type": "Normal", "involvedObject": {
                     "kind": "Widget", "name": "w", "namespace": self.namespace, "uid": uid,
                     "apiVersion": "conformance.example/v1"},
                 "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 1,
                 "source": {"component": "conformance"}}
        self.made(self.api.post(self.core("events"), event))
        text = self.kubectl("describe", "widget", "w")
        for part in ("Color:", "red", "Events:", "Painted", "It is red now."):
            self.assertIn(part, text)
        self.assertIn("Painted", self.kubectl("get", "events", "--field-selector", "involvedObject.name=w"))
        self.assertIn("Painted", self.kubectl("events", "--for", "widget/w"))

    def test_delete(self):
        k = self.kubectl
        for name in ("a", "b", "c"):
            k("apply", "-f", "-", stdin=json.dumps(widget(name, labels={"x": "1"} if name != "c" else {})))
        self.assertIn('"a" deleted', k("delete", "widget", "a"))
        self.assertIn("NotFound", k("delete", "widget", "a", fails=True))
        self.assertEqual(k("delete", "widget", "a", "--ignore-not-found"), "")
        k("delete", "widgets", "-l", "x=1")
        self.assertEqual(k("get", "widgets", "-o", "name").strip(), "widget.conformance.example/c")
        k("delete", "widget", "c", "--cascade=foreground")
        k("delete", "widgets", "--all")
        self.assertEqual(k("get", "widgets", "-o", "name"), "")

    def test_auth_can_i(self):
        k = self.kubectl
        self.assertIn("yes", k("auth", "can-i", "create", "widgets"))
        k("create", "serviceaccount", "sa")
        k("create", "role", "r", "--verb=get,list", "--resource=widgets.conformance.example")
        k("create", "rolebinding", "b", "--role=r", f"--serviceaccount={self.namespace}:sa")
        account = f"--as=system:serviceaccount:{self.namespace}:sa"
        eventually("the role is heeded", lambda: "yes" in k.run("auth", "can-i", "list", "widgets", account).stdout)
        self.assertIn("no", k.run("auth", "can-i", "delete", "widgets", account).stdout)
        self.assertIn("Forbidden", k("get", "configmaps", account, fails=True))
        self.assertIn("No resources found", k.run("get", "widgets", account).stderr)

    def test_a_token_is_a_login(self):
        k = self.kubectl
        k("create", "serviceaccount", "sa")
        config = json.loads(k("config", "view", "--raw", "-o", "json"))
        config["users"][0]["user"] = {"token": k("create", "token", "sa").strip()}
        with scratch() as folder:
            (folder / "config").touch(mode=0o600)
            (folder / "config").write_text(json.dumps(config))
            account = Kubectl(folder / "config", folder / "cache")
            complaint = account("get", "pods", "-n", self.namespace, fails=True)
            self.assertIn(f'User "system:serviceaccount:{self.namespace}:sa" cannot list resource "pods"', complaint)

    def test_versions_and_resources(self):
        self.assertIn("Server Version", self.kubectl("version"))
        resources = self.kubectl("api-resources", "--api-group=conformance.example")
        self.assertIn("wdg", resources)
        self.assertIn("conformance.example/v1", self.kubectl("api-versions"))
        self.assertIn("is running at", self.kubectl("cluster-info"))
        self.assertIn("ok", self.kubectl("get", "--raw", "/readyz"))
