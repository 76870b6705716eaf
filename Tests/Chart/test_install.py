"""The chart on a real kube-apiserver: installed, upgraded and taken away by Helm."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import helm_python
import yaml

import kubernetes_1_20
from chart import CHART, ROOT, render

sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
from fathom import eventually

NAMESPACED = ("serviceaccounts,roles,rolebindings,secrets,configmaps,leases,services,deployments,networkpolicies,poddisruptionbudgets,"
              "depthcaches,depthcachereplicas")


def script(name, *arguments):
    done = subprocess.run([ROOT / "hack" / name, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise AssertionError(f"{name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


class Cluster(unittest.TestCase):
    """A real kube-apiserver, emptied after each test."""

    # Of which ServiceAccounts there are kubeconfigs.
    accounts = []

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.kubectl_program = script("kubectl.sh").strip()
        cls.ours = kubernetes_1_20.copied(CHART, pathlib.Path(cls.folder, "fathom"))
        accounts = [word for account in cls.accounts for word in ("--service-account", account)]
        cls.facts = json.loads(script("real-apiserver.sh", "start", "--data-dir", cls.folder, *accounts))
        cls.addClassCleanup(script, "real-apiserver.sh", "stop", "--data-dir", cls.folder)
        cls.kubeconfig = cls.facts["users"]["admin"]["kubeconfig"]

    def kubectl(self, *arguments, stdin=None, check=True):
        done = subprocess.run([self.kubectl_program, "--kubeconfig", self.kubeconfig, *arguments], capture_output=True, text=True, input=stdin)
        if check and done.returncode:
            raise AssertionError(f"kubectl {arguments}: {done.stderr}")
        return done.stdout if check else done

    def helm(self, namespace):
        return self.enterContext(helm_python.Config(kubeconfig_path=self.kubeconfig, namespace=namespace))

    def objects(self, namespace):
        """What is in a namespace, as kind/name, without what every namespace has and without Helm's own notes of releases."""
        said = self.kubectl("get", NAMESPACED, "-n", namespace, "-o", "name").split()
        return {name for name in said if not name.startswith(("serviceaccount/default", "secret/default-token", "secret/sh.helm.release",
                                                              "configmap/kube-root-ca.crt", "secret/fathom-controller-token",
                                                              "secret/fathom-worker-token", "secret/fathom-gateway-token"))}

    def chart(self, version, field=None):
        """A copy of the chart as another version, with a further field in the schema."""
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "fathom"
        kubernetes_1_20.copied(CHART, folder)
        about = yaml.safe_load((folder / "Chart.yaml").read_text())
        (folder / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": version}))
        if field:
            path = folder / "files/crds/depthcaches.yaml"
            definition = yaml.safe_load(path.read_text())
            properties = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            properties[field] = {"type": "string", "description": "A further field."}
            path.write_text(yaml.safe_dump(definition))
        return folder

    def definition(self):
        return json.loads(self.kubectl("get", "crd", "depthcaches.fathom.dev", "-o", "json"))

    def fields(self):
        return set(self.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])

    def tearDown(self):
        for namespace in ("a", "b"):
            for release in self.helm(namespace).list():
                self.helm(namespace).uninstall(release["name"])
            self.kubectl("delete", "namespace", namespace, "--ignore-not-found")
        self.kubectl("delete", "crd", "--ignore-not-found", "depthcaches.fathom.dev", "depthcachereplicas.fathom.dev")

    def install(self, name, namespace, **values):
        return self.helm(namespace).install(str(self.ours), name, values, create_namespace=True)


class Installed(Cluster):
    def test_install_makes_everything_and_uninstall_leaves_the_users_own(self):
        self.install("fathom", "a")
        made = self.objects("a")
        self.assertEqual(len(made), len([thing for thing in render() if thing["metadata"].get("namespace")]), made)
        self.kubectl("wait", "--for=condition=Established", "crd", "depthcaches.fathom.dev", "--timeout=30s")
        self.kubectl("apply", "-n", "a", "-f", str(ROOT / "manifests/examples/btcusdt.yaml"))
        # An API server publishes what it can explain some time after it has begun to serve it.
        eventually("kubectl explains a field", lambda: "How many price levels per side" in self.kubectl(
            "explain", "depthcache.spec.depth", check=False).stdout)
        # What the programs write into what the chart made.
        self.kubectl("patch", "-n", "a", "secret", "fathom-link", "-p", '{"stringData": {"current": "key"}}')
        self.helm("a").uninstall("fathom")
        left = self.objects("a")
        self.assertEqual({name.split("/")[0] for name in left}, {"depthcache.fathom.dev"})
        self.assertEqual(self.kubectl("get", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/name=fathom", "-o", "name"), "")
        self.assertIn("depthcaches", self.fields() and self.kubectl("get", "crd", "-o", "name"))
        # Installed again, it takes up what was left.
        self.install("fathom", "a")
        self.assertLessEqual(left, self.objects("a"))

    def test_an_upgrade_keeps_what_the_programs_wrote(self):
        self.install("fathom", "a")
        written = {
            "secret/fathom-link": {"data": {"current": "a2V5"}},
            "lease/fathom-controller": {"spec": {"holderIdentity": "fathom-controller-1", "leaseDurationSeconds": 10}},
            "configmap/fathom-credentials": {"data": {"keys": "[]"}},
            "configmap/fathom-markets-binance-com": {"data": {"part": "0", "markets": "BTCUSDT"}},
            "role/fathom-worker-credentials": {"rules": [
                {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["keys"], "verbs": ["get", "watch"]}]},
        }
        for name, patch in written.items():
            self.kubectl("patch", "-n", "a", name, "--type=merge", "-p", json.dumps(patch))
        self.helm("a").upgrade(str(self.ours), "fathom", {"worker": {"replicas": 5}})
        self.assertEqual(self.kubectl("get", "-n", "a", "deployment/fathom-worker", "-o", "jsonpath={.spec.replicas}"), "5")
        self.helm("a").rollback("fathom", version=1)
        for name, patch in written.items():
            thing = json.loads(self.kubectl("get", "-n", "a", name, "-o", "json"))
            for key, value in patch.items():
                self.assertLessEqual(value.items(), thing[key].items()) if isinstance(value, dict) else self.assertEqual(thing[key], value)

    def test_two_releases_live_in_two_namespaces(self):
        self.install("fathom", "a")
        before = self.definition()
        self.install("fathom", "b")
        self.assertEqual(self.definition()["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"])
        self.assertEqual(self.objects("a"), self.objects("b"))
        self.helm("b").uninstall("fathom")
        self.assertEqual(self.objects("b"), set())
        self.assertIn("deployment.apps/fathom-worker", self.objects("a"))
        self.assertIn("clusterrole.rbac.authorization.k8s.io/a-fathom-nodes",
                      self.kubectl("get", "clusterroles", "-l", "app.kubernetes.io/name=fathom", "-o", "name"))

    def test_a_second_release_in_one_namespace_is_refused(self):
        self.install("fathom", "a")
        before = self.objects("a")
        with self.assertRaisesRegex(helm_python.HelmError, 'namespace "a" already has Fathom, as release "fathom"'):
            self.install("books", "a")
        self.assertEqual(self.objects("a"), before)

    def test_the_definitions_are_upgraded_by_the_release_that_made_them(self):
        self.install("fathom", "a")
        self.install("books", "b")
        newer = self.chart("99.0.0", field="later")
        with self.assertRaisesRegex(helm_python.HelmError, 'belongs to release "fathom" of namespace "a"; this chart is 99.0.0'):
            self.helm("b").upgrade(str(newer), "books", {})
        self.assertNotIn("later", self.fields())
        self.helm("a").upgrade(str(newer), "fathom", {})
        self.assertIn("later", self.fields())
        # Now they are new enough for the other; and an older release does not take them back.
        self.helm("b").upgrade(str(newer), "books", {})
        self.helm("b").rollback("books", version=1)
        self.assertIn("later", self.fields())

    def test_definitions_are_handed_over_when_their_release_has_gone(self):
        self.install("fathom", "a")
        self.install("books", "b")
        self.helm("a").uninstall("fathom")
        newer = self.chart("99.0.0", field="later")
        with self.assertRaises(helm_python.HelmError):
            self.helm("b").upgrade(str(newer), "books", {})
        for name in ("depthcaches.fathom.dev", "depthcachereplicas.fathom.dev"):
            self.kubectl("annotate", "--overwrite", "crd", name, "meta.helm.sh/release-name=books", "meta.helm.sh/release-namespace=b")
        self.helm("b").upgrade(str(newer), "books", {})
        self.assertIn("later", self.fields())

    def test_plain_manifests_are_applied_twice_and_deleted(self):
        manifests = kubernetes_1_20.copied(ROOT / "manifests", pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()), "manifests"))
        self.kubectl("create", "namespace", "fathom")
        self.addCleanup(self.kubectl, "delete", "namespace", "fathom")
        self.kubectl("apply", "-f", str(manifests / "crds"))
        self.kubectl("apply", "-f", str(manifests / "install.yaml"))
        self.kubectl("patch", "-n", "fathom", "secret", "fathom-link", "-p", '{"stringData": {"current": "key"}}')
        self.kubectl("apply", "-f", str(manifests / "install.yaml"))
        self.assertEqual(self.kubectl("get", "-n", "fathom", "secret/fathom-link", "-o", "jsonpath={.data.current}"), "a2V5")
        self.kubectl("delete", "-f", str(manifests / "install.yaml"))
        self.assertEqual(self.objects("fathom"), set())
