"""Several releases in one cluster, and what is left when one goes."""

import unittest

import yaml

from chart import ROOT, VALUE_SETS, identity, kinds, named, render, values


class TwoReleases(unittest.TestCase):
    def test_releases_in_two_namespaces_share_no_object(self):
        """Of one name, too. The definitions are the cluster's: who makes them is decided at the cluster (test_install.py)."""
        given = {"crds": {"install": False}}
        mine = {identity(thing) for thing in render(given, name="fathom", namespace="a")}
        for other in (render(given, name="fathom", namespace="b"), render(given, name="books", namespace="b")):
            self.assertEqual(mine & {identity(thing) for thing in other}, set())

    def test_everything_is_in_the_namespace_of_the_release(self):
        cluster = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
        for name in VALUE_SETS:
            for thing in render(values(name), name="books", namespace="markets"):
                expected = None if thing["kind"] in cluster else "markets"
                self.assertEqual(thing["metadata"].get("namespace"), expected, identity(thing))

    def test_bindings_name_the_accounts_of_their_own_release(self):
        objects = render(name="books", namespace="markets")
        accounts = {account["metadata"]["name"] for account in kinds(objects, "ServiceAccount")}
        for binding in kinds(objects, "RoleBinding") + kinds(objects, "ClusterRoleBinding"):
            for subject in binding["subjects"]:
                self.assertEqual(subject["namespace"], "markets")
                self.assertIn(subject["name"], accounts)


class Uninstall(unittest.TestCase):
    def test_only_the_definitions_are_kept(self):
        kept = {thing["metadata"]["name"] for thing in render()
                if (thing["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") == "keep"}
        self.assertEqual(kept, {"depthcaches.fathom.dev", "depthcachereplicas.fathom.dev"})

    def test_there_are_no_hooks(self):
        """What a hook makes is nobody's when the release goes."""
        for thing in render(values("full")):
            self.assertNotIn("helm.sh/hook", thing["metadata"].get("annotations") or {})

    def test_what_the_programs_write_by_name_goes_with_the_release(self):
        objects = render()
        for kind, name in (("Secret", "fathom-link"), ("Lease", "fathom-controller"), ("ConfigMap", "fathom-credentials"),
                           ("ConfigMap", "fathom-markets-binance-com"), ("Role", "fathom-worker-credentials")):
            thing = named(objects, kind, name)
            # Nothing in it belongs to Helm: an upgrade would take back what a program wrote.
            self.assertFalse({"data", "spec", "rules"} & set(thing), identity(thing))


class Manifests(unittest.TestCase):
    def test_plain_manifests_are_the_release_fathom_without_helm(self):
        text = (ROOT / "manifests/install.yaml").read_text()
        plain = list(yaml.safe_load_all(text))
        expected = render({"crds": {"install": False}})
        self.assertEqual(sorted(map(identity, plain), key=str), sorted(map(identity, expected), key=str))
        for thing in plain:
            self.assertFalse([label for label in thing["metadata"]["labels"] if "helm" in label])

    def test_the_namespace_lets_only_restricted_pods_in(self):
        namespace = yaml.safe_load((ROOT / "manifests/namespace.yaml").read_text())
        self.assertEqual(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted")
        self.assertEqual({thing["metadata"].get("namespace") for thing in yaml.safe_load_all((ROOT / "manifests/install.yaml").read_text())
                          if not thing["kind"].startswith("Cluster")}, {namespace["metadata"]["name"]})
