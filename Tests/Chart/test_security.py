"""Least privilege: pods, permissions, networks, and what a scanner says of them."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import yaml

from chart import COMPONENTS, ROOT, VALUE_SETS, identity, kinds, named, pods, render, values


class Pods(unittest.TestCase):
    def test_pods_keep_the_restricted_standard(self):
        """Each line of the `restricted` Pod Security Standard that concerns pods of Linux."""
        for name in VALUE_SETS:
            for component, pod in pods(render(values(name))).items():
                with self.subTest(values=name, component=component):
                    spec = pod["spec"]
                    for field in ("hostNetwork", "hostPID", "hostIPC", "ephemeralContainers"):
                        self.assertNotIn(field, spec)
                    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
                    for volume in spec["volumes"]:
                        self.assertLessEqual(set(volume) - {"name"}, allowed)
                    self.assertEqual(spec["securityContext"]["runAsNonRoot"], True)
                    self.assertNotEqual(spec["securityContext"].get("runAsUser"), 0)
                    self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                    for container in spec["containers"] + spec.get("initContainers", []):
                        own = container["securityContext"]
                        self.assertEqual((own["allowPrivilegeEscalation"], own["capabilities"]), (False, {"drop": ["ALL"]}))
                        self.assertFalse({"privileged", "procMount", "seLinuxOptions", "runAsUser"} & set(own))
                        self.assertFalse([port for port in container["ports"] if "hostPort" in port])

    def test_the_root_is_read_only_and_only_audits_are_written(self):
        for component, pod in pods(render()).items():
            (container,) = pod["spec"]["containers"]
            self.assertIs(container["securityContext"]["readOnlyRootFilesystem"], True)
            written = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
            self.assertEqual(written, ["/var/lib/fathom/audits"] if component == "worker" else [])

    def test_tokens_are_short_lived_and_only_where_asked_for(self):
        objects = render()
        for account in kinds(objects, "ServiceAccount"):
            self.assertIs(account["automountServiceAccountToken"], False)
        for component, pod in pods(objects).items():
            self.assertIs(pod["spec"]["automountServiceAccountToken"], False)
            self.assertEqual(pod["spec"]["serviceAccountName"], f"fathom-{component}")
            tokens = [source["serviceAccountToken"] for volume in pod["spec"]["volumes"] if "projected" in volume
                      for source in volume["projected"]["sources"] if "serviceAccountToken" in source]
            self.assertEqual([token["expirationSeconds"] for token in tokens], [3600])

    def test_no_secret_is_rendered(self):
        """The link key is made in the cluster: a key in a rendered chart would be in Helm's history and in version control."""
        for secret in kinds(render(values("full")), "Secret"):
            self.assertFalse({"data", "stringData"} & set(secret), identity(secret))


def rules(objects, component):
    """What the component's account may do in its namespace."""
    roles = {role["metadata"]["name"]: role.get("rules") or [] for role in kinds(objects, "Role")}
    return [rule for binding in kinds(objects, "RoleBinding") for subject in binding["subjects"]
            if subject["name"] == f"fathom-{component}" for rule in roles[binding["roleRef"]["name"]]]


def may(objects, component, verb, group, resource, name=None):
    return any(group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"]
               and ("resourceNames" not in rule or name in rule["resourceNames"]) for rule in rules(objects, component))


class Permissions(unittest.TestCase):
    def test_nothing_is_granted_wholesale(self):
        for name in VALUE_SETS:
            objects = render(values(name))
            for role in kinds(objects, "Role") + kinds(objects, "ClusterRole"):
                for rule in role.get("rules") or []:
                    everything = rule["apiGroups"] + rule["resources"] + rule["verbs"]
                    self.assertFalse({"*", "escalate", "bind", "impersonate", "pods/exec", "deletecollection"} & set(everything), role)

    def test_secrets_are_read_by_name_except_by_the_controller(self):
        objects = render()
        for component in ("worker", "gateway"):
            for verb in ("get", "list", "watch"):
                self.assertTrue(may(objects, component, verb, "", "secrets", "fathom-link"))
                self.assertFalse(may(objects, component, verb, "", "secrets", "another"), component)
            for verb in ("create", "update", "patch", "delete"):
                self.assertFalse(may(objects, component, verb, "", "secrets", "fathom-link"), component)
        self.assertTrue(may(objects, "gateway", "watch", "", "secrets", "fathom-tokens"))
        self.assertFalse(may(objects, "worker", "watch", "", "secrets", "fathom-tokens"))
        self.assertFalse(may(render(values("minimal")), "gateway", "get", "", "secrets", "fathom-tokens"))
        self.assertTrue(may(objects, "controller", "watch", "", "secrets", "another"))
        self.assertFalse(may(objects, "controller", "update", "", "secrets", "another"))
        plain = render(values("minimal"))
        self.assertFalse(may(plain, "controller", "get", "", "secrets", "another"))
        self.assertTrue(may(plain, "controller", "update", "", "secrets", "fathom-link"))
        self.assertFalse([role for role in kinds(plain, "Role") if role["metadata"]["name"] == "fathom-worker-credentials"])

    def test_the_gateway_changes_secrets_only_where_its_credential_endpoints_are_on(self):
        for verb in ("create", "delete"):
            self.assertFalse(may(render(), "gateway", verb, "", "secrets", "another"))
        objects = render({"auth": {"credentialEndpoints": True}})
        self.assertIn('credentialEndpoints: "on"', named(objects, "ConfigMap", "fathom-config")["data"]["config.yaml"])
        for verb in ("create", "delete"):
            self.assertTrue(may(objects, "gateway", verb, "", "secrets", "fathom-credentials-1"))
        for verb in ("get", "list", "watch", "update", "patch"):
            self.assertFalse(may(objects, "gateway", verb, "", "secrets", "fathom-credentials-1"))

    def test_the_controller_holds_what_it_passes_on_to_workers(self):
        """Kubernetes refuses a Role with rights that its writer has not."""
        objects = render()
        for verb in ("get", "list", "watch"):
            self.assertTrue(may(objects, "controller", verb, "", "secrets", "any-credentials"))
        self.assertTrue(may(objects, "controller", "update", "rbac.authorization.k8s.io", "roles", "fathom-worker-credentials"))
        self.assertFalse(may(objects, "controller", "update", "rbac.authorization.k8s.io", "roles", "fathom-controller"))
        role = named(objects, "Role", "fathom-worker-credentials")
        self.assertNotIn("rules", role, "Helm would take the controller's rules back at every upgrade")

    def test_only_the_controller_decides(self):
        objects = render()
        for component in ("worker", "gateway"):
            self.assertFalse(may(objects, component, "create", "fathom.dev", "depthcachereplicas"))
            self.assertFalse(may(objects, component, "patch", "fathom.dev", "depthcaches/status"))
        self.assertFalse(may(objects, "gateway", "patch", "fathom.dev", "depthcachereplicas/status"))
        self.assertFalse(may(objects, "controller", "delete", "fathom.dev", "depthcaches"))
        self.assertFalse(may(objects, "gateway", "update", "coordination.k8s.io", "leases", "fathom-controller"))

    def test_a_controller_makes_the_lease_of_the_leader_again(self):
        objects = render()
        for verb in ("create", "update"):
            self.assertTrue(may(objects, "controller", verb, "coordination.k8s.io", "leases", "fathom-controller"))
        self.assertFalse(may(objects, "controller", "update", "coordination.k8s.io", "leases", "fathom-worker-0"))

    def test_the_cluster_is_only_asked_for_its_nodes(self):
        (role,) = kinds(render(), "ClusterRole")
        self.assertEqual(role["rules"], [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}])
        self.assertEqual(kinds(render(values("minimal")), "ClusterRole"), [])


class Networks(unittest.TestCase):
    def allows(self, objects, source, target, port):
        """Whether the policies let a pod of a component open a connection to a pod of another."""
        labels = {component: pod["metadata"]["labels"] for component, pod in pods(objects).items()}

        def matches(selector, of):
            inside = all(of.get(key) == value for key, value in selector.get("matchLabels", {}).items())
            for expression in selector.get("matchExpressions", []):
                self.assertEqual(expression["operator"], "In")
                inside = inside and of.get(expression["key"]) in expression["values"]
            return inside

        def lets(rule, side, peer):
            peers = rule.get(side)
            return any(int(each["port"]) == port for each in rule["ports"]) and (
                peers is None or any(matches(each["podSelector"], labels[peer]) for each in peers if "podSelector" in each))

        def policy(component):
            (found,) = [p["spec"] for p in kinds(objects, "NetworkPolicy") if matches(p["spec"]["podSelector"], labels[component])]
            return found

        return (any(lets(rule, "to", target) for rule in policy(source)["egress"])
                and any(lets(rule, "from", source) for rule in policy(target)["ingress"]))

    def test_each_program_reaches_what_it_has_to_do_with(self):
        for name in ("defaults", "full"):
            objects = render(values(name))
            reached = {(source, target, port) for source in COMPONENTS for target in COMPONENTS for port in (8080, 8082, 9090)
                       if self.allows(objects, source, target, port)}
            self.assertEqual(reached, {(source, "worker", 8082) for source in COMPONENTS}, name)

    def test_only_those_who_need_the_exchanges_reach_them(self):
        objects = render(values("full"))
        for component in COMPONENTS:
            blocks = {peer["ipBlock"]["cidr"] for rule in named(objects, "NetworkPolicy", f"fathom-{component}")["spec"]["egress"]
                      for peer in rule.get("to", []) if "ipBlock" in peer}
            self.assertEqual(blocks, {"10.96.0.1/32"} | (set() if component == "gateway" else {"192.0.2.0/24"}))


# What checkov finds and we leave, with the reason.
LEFT = {
    "CKV_K8S_11": "no CPU limits: throttling would stall event loops, and a stalled loop withdraws its books",
    "CKV_K8S_43": "image.digest is there for those who push to a registry; an archive imported on the nodes has no registry to be found in",
    "CKV_K8S_15": "pullPolicy Always would keep images imported on the nodes from starting; a version is never pushed twice",
}


def scan(framework, folder):
    """What checkov says of a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "checkov.main", "--framework", framework, "--skip-download", "--compact", "--quiet",
         "--output", "json", "--directory", folder],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=folder, env={**os.environ, "HOME": folder, "LOG_LEVEL": "ERROR"})
    return json.loads(done.stdout)


class Scan(unittest.TestCase):
    def check(self, report, left, passed):
        failed = report["results"]["failed_checks"]
        found = sorted({f"{check['check_id']} {check['check_name']}: {check['resource']}" for check in failed if check["check_id"] not in left})
        self.assertEqual(found, [], "\n".join(found))
        self.assertGreater(report["summary"]["passed"], passed)
        unused = set(left) - {check["check_id"] for check in failed}
        self.assertEqual(unused, set(), "explained, and not found any more")

    def test_checkov_finds_nothing_in_the_chart_that_is_not_explained(self):
        with tempfile.TemporaryDirectory() as folder:
            objects = [thing for name in ("defaults", "full") for thing in render(values(name), namespace=f"markets-{name}")]
            pathlib.Path(folder, "rendered.yaml").write_text(yaml.safe_dump_all(objects))
            self.check(scan("kubernetes", folder), LEFT, 300)

    def test_checkov_finds_nothing_in_the_dockerfile_that_is_not_explained(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "Dockerfile").write_text((ROOT / "Dockerfile").read_text())
            self.check(scan("dockerfile", folder), {"CKV_DOCKER_2": "the probes are in the chart; the image has nothing to ask itself with"}, 5)
