"""Who may do what: Roles and their bindings, and what a refusal says."""

from client import APPLY, Client, eventually
from servers import Conformance, installed
from widgets import WIDGETS, widget

RBAC = "rbac.authorization.k8s.io/v1"


class Access(Conformance):
    def setUp(self):
        super().setUp()
        self.user = f"system:serviceaccount:{self.namespace}:limited"
        self.limited = self.as_account("limited")

    def as_account(self, name):
        """A client with a token of a new ServiceAccount, which may do nothing yet."""
        path = self.core("serviceaccounts")
        self.made(self.api.post(path, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}))
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = self.made(self.api.post(f"{path}/{name}/token", request))["status"]["token"]
        return Client(self.server.url, self.server.authority, token, agent="limited/1")

    def rule(self, resources, verbs, groups=("",), names=()):
        return {"apiGroups": list(groups), "resources": resources, "verbs": verbs,
                **({"resourceNames": list(names)} if names else {})}

    def grant(self, name, *rules, account="limited", subjects=None):
        """A Role and a binding to the account; waits until the server heeds them."""
        self.made(self.api.post(self.group(RBAC, "roles"), {
            "apiVersion": RBAC, "kind": "Role", "metadata": {"name": name}, "rules": list(rules)}))
        self.bind(name, "Role", subjects or [{"kind": "ServiceAccount", "name": account, "namespace": self.namespace}])

    def bind(self, name, kind, subjects):
        self.made(self.api.post(self.group(RBAC, "rolebindings"), {
            "apiVersion": RBAC, "kind": "RoleBinding", "metadata": {"name": name}, "subjects": subjects,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}}))

    def becomes(self, code, call, what="the grant is heeded"):
        """A real server learns of roles by watching them: a moment later."""
        return eventually(what, lambda: (answer := call()).code == code and answer)

    def denied(self, answer, verb, resource, group="", place=None):
        self.refused(answer, 403, "Forbidden")
        place = place or f'in the namespace "{self.namespace}"'
        self.assertIn(f'User "{self.user}" cannot {verb} resource "{resource}" in API group "{group}" {place}', answer.message)

    def test_without_a_role_nothing_is_allowed(self):
        path = self.core("configmaps")
        self.denied(self.limited.get(path), "list", "configmaps")
        self.denied(self.limited.get(f"{path}/a"), "get", "configmaps")
        self.denied(self.limited.post(path, self.config_map("a")), "create", "configmaps")
        self.denied(self.limited.put(f"{path}/a", self.config_map("a")), "update", "configmaps")
        self.denied(self.limited.patch(f"{path}/a", {}), "patch", "configmaps")
        self.denied(self.limited.delete(f"{path}/a"), "delete", "configmaps")
        self.denied(self.limited.delete(path), "deletecollection", "configmaps")
        self.denied(self.limited.get(path, watch="true"), "watch", "configmaps")
        self.denied(self.limited.get("/api/v1/nodes"), "list", "nodes", place="at the cluster scope")
        self.denied(self.limited.get("/api/v1/configmaps"), "list", "configmaps", place="at the cluster scope")
        self.denied(self.limited.get(self.group("coordination.k8s.io/v1", "leases", "l")), "get", "leases",
                    "coordination.k8s.io")

    def test_a_role_allows_its_verbs_and_no_more(self):
        self.make("a")
        self.grant("reader", self.rule(["configmaps"], ["get", "list"]))
        self.becomes(200, lambda: self.limited.get(self.core("configmaps", "a")))
        self.made(self.limited.get(self.core("configmaps")))
        self.denied(self.limited.post(self.core("configmaps"), self.config_map("b")), "create", "configmaps")
        self.denied(self.limited.get(self.core("configmaps"), watch="true"), "watch", "configmaps")
        self.denied(self.limited.get(self.core("secrets")), "list", "secrets")
        answer = self.refused(self.limited.get("/api/v1/namespaces/default/configmaps"), 403, "Forbidden")
        self.assertIn('in the namespace "default"', answer.message)

    def test_names_narrow_a_rule(self):
        for name in ("mine", "other"):
            self.make(name)
        self.grant("one", self.rule(["configmaps"], ["get", "list", "watch", "update", "patch", "delete"], names=["mine"]),
                   self.rule(["configmaps"], ["create"], names=["mine"]))
        path = self.core("configmaps")
        self.becomes(200, lambda: self.limited.get(f"{path}/mine"))
        self.denied(self.limited.get(f"{path}/other"), "get", "configmaps")
        self.denied(self.limited.get(path), "list", "configmaps")
        # Asking by name alone is what makes a list or a watch of one object possible.
        self.assertEqual(self.limited.get(path, fieldSelector="metadata.name=mine").names, ["mine"])
        self.denied(self.limited.get(path, fieldSelector="metadata.name=other"), "list", "configmaps")
        version = self.api.get(path).version
        with self.limited.watch(path, resourceVersion=version, fieldSelector="metadata.name=mine") as watch:
            self.made(self.limited.patch(f"{path}/mine", {"data": {"k": "1"}}))
            self.assertEqual(watch.named(), "MODIFIED mine")
        # A name is not known before the object is: create cannot be narrowed by it.
        self.denied(self.limited.post(path, self.config_map("mine")), "create", "configmaps")

    def test_subresources_are_resources_of_their_own(self):
        installed(self.api, WIDGETS)
        path = self.group("conformance.example/v1", "widgets")
        self.made(self.api.post(path, widget("w")))
        self.grant("status", self.rule(["widgets/status"], ["patch"], ["conformance.example"]),
                   self.rule(["widgets/scale"], ["get"], ["conformance.example"]))
        self.becomes(200, lambda: self.limited.patch(f"{path}/w/status", {"status": {"replicas": 1}}))
        self.made(self.limited.get(f"{path}/w/scale"))
        self.denied(self.limited.patch(f"{path}/w/scale", {"spec": {"replicas": 2}}), "patch", "widgets/scale",
                    "conformance.example")
        self.denied(self.limited.patch(f"{path}/w", {"spec": {"replicas": 2}}), "patch", "widgets", "conformance.example")

    def test_stars_match_everything(self):
        self.grant("all", self.rule(["*"], ["*"], ["*"]))
        self.becomes(201, lambda: self.limited.post(self.core("configmaps"), self.config_map("a")))
        self.made(self.limited.get(self.group("coordination.k8s.io/v1", "leases")))
        self.refused(self.limited.get("/api/v1/nodes"), 403, "Forbidden")

    def test_a_role_of_another_namespace_does_not_count(self):
        other = f"{self.namespace}-2"
        self.made(self.api.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}}))
        self.addCleanup(self.api.delete, f"/api/v1/namespaces/{other}")
        mine, self.namespace = self.namespace, other
        self.grant("reader", self.rule(["configmaps"], ["list"]),
                   subjects=[{"kind": "ServiceAccount", "name": "limited", "namespace": mine}])
        self.namespace = mine
        self.becomes(200, lambda: self.limited.get(f"/api/v1/namespaces/{other}/configmaps"))
        self.denied(self.limited.get(self.core("configmaps")), "list", "configmaps")

    def test_groups_are_subjects(self):
        self.grant("group", self.rule(["configmaps"], ["list"]), subjects=[{
            "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": f"system:serviceaccounts:{self.namespace}"}])
        self.becomes(200, lambda: self.limited.get(self.core("configmaps")))

    def test_cluster_roles_and_their_bindings(self):
        name = f"conformance-{self.namespace}"
        roles, bindings = f"/apis/{RBAC}/clusterroles", f"/apis/{RBAC}/clusterrolebindings"
        self.made(self.api.post(roles, {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name},
                                        "rules": [self.rule(["configmaps", "nodes"], ["list"])]}))
        self.addCleanup(self.api.delete, f"{roles}/{name}")
        subject = [{"kind": "ServiceAccount", "name": "limited", "namespace": self.namespace}]
        self.bind(name, "ClusterRole", subject)
        self.becomes(200, lambda: self.limited.get(self.core("configmaps")))
        self.refused(self.limited.get("/api/v1/configmaps"), 403, "Forbidden")
        self.refused(self.limited.get("/api/v1/nodes"), 403, "Forbidden")
        self.made(self.api.post(bindings, {
            "apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": {"name": name}, "subjects": subject,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}}))
        self.addCleanup(self.api.delete, f"{bindings}/{name}")
        self.becomes(200, lambda: self.limited.get("/api/v1/nodes"))
        self.made(self.limited.get("/api/v1/configmaps"))

    def test_a_grant_ends_with_its_role(self):
        self.grant("reader", self.rule(["configmaps"], ["list"]))
        self.becomes(200, lambda: self.limited.get(self.core("configmaps")))
        self.made(self.api.patch(self.group(RBAC, "roles", "reader"), {"rules": []}))
        self.becomes(403, lambda: self.limited.get(self.core("configmaps")), "the emptied role is heeded")
        self.made(self.api.patch(self.group(RBAC, "roles", "reader"), {"rules": [self.rule(["configmaps"], ["list"])]}))
        self.becomes(200, lambda: self.limited.get(self.core("configmaps")))
        self.made(self.api.delete(self.group(RBAC, "rolebindings", "reader")))
        self.becomes(403, lambda: self.limited.get(self.core("configmaps")), "the lost binding is heeded")

    def test_nobody_grants_what_they_do_not_hold(self):
        """The controller keeps a Role for the workers: what it needs for that is exactly what is tested here."""
        roles = self.group(RBAC, "roles")
        self.grant("keeper", self.rule(["roles", "rolebindings"], ["get", "create", "update", "patch"], [RBAC.split("/")[0]]),
                   self.rule(["secrets"], ["get"], names=["held"]))
        self.becomes(404, lambda: self.limited.get(f"{roles}/none"))

        def role(name, *rules):
            return {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": name}, "rules": list(rules)}

        answer = self.limited.post(roles, role("more", self.rule(["secrets"], ["get"], names=["other"])))
        self.refused(answer, 403, "Forbidden")
        self.assertIn("is attempting to grant RBAC permissions not currently held", answer.message)
        self.made(self.limited.post(roles, role("same", self.rule(["secrets"], ["get"], names=["held"]))))
        self.made(self.limited.post(roles, role("empty")))
        wider = {"rules": [self.rule(["secrets"], ["get"])]}
        self.refused(self.limited.patch(f"{roles}/empty", wider), 403, "Forbidden")
        self.refused(self.limited.apply(f"{roles}/empty", role("empty", *wider["rules"]), "m", force="true"), 403,
                     "Forbidden")
        # Binding a role takes its permissions as well.
        self.made(self.api.post(roles, role("big", self.rule(["secrets"], ["*"]))))
        binding = {"apiVersion": RBAC, "kind": "RoleBinding", "metadata": {"name": "b"}, "subjects": [
            {"kind": "ServiceAccount", "name": "limited", "namespace": self.namespace}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "big"}}
        self.refused(self.limited.post(self.group(RBAC, "rolebindings"), binding), 403, "Forbidden")

    def test_escalate_on_one_role_is_enough(self):
        roles = self.group(RBAC, "roles")
        self.made(self.api.post(roles, {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": "kept"}, "rules": []}))
        self.grant("keeper", self.rule(["roles"], ["get", "update", "patch", "escalate"], [RBAC.split("/")[0]], ["kept"]))
        self.becomes(200, lambda: self.limited.get(f"{roles}/kept"))
        self.made(self.limited.patch(f"{roles}/kept", {"rules": [self.rule(["secrets"], ["get"], names=["a"])]}))
        self.denied(self.limited.patch(f"{roles}/keeper", {"rules": []}), "patch", "roles", "rbac.authorization.k8s.io")

    def test_a_binding_keeps_its_role(self):
        self.grant("reader", self.rule(["configmaps"], ["list"]))
        answer = self.api.patch(self.group(RBAC, "rolebindings", "reader"), {"roleRef": {"name": "other"}})
        self.assertEqual(self.refused(answer, 422, "Invalid").causes, ["roleRef"])

    def test_an_apply_that_creates_needs_both_verbs(self):
        self.grant("patcher", self.rule(["configmaps"], ["get", "patch"]))
        self.becomes(404, lambda: self.limited.get(self.core("configmaps", "a")))
        answer = self.limited.call("PATCH", self.core("configmaps", "a"), self.config_map("a"), APPLY, fieldManager="m")
        # The words of this refusal have changed between versions.
        self.refused(answer, 403, "Forbidden")
        self.assertTrue(self.gone(self.core("configmaps", "a")))
        self.make("a")
        self.made(self.limited.apply(self.core("configmaps", "a"), self.config_map("a", {"k": "1"}), "m"))

    def test_who_is_not_known(self):
        wrong = Client(self.server.url, self.server.authority, "wrong")
        self.refused(wrong.get(self.core("configmaps")), 401, "Unauthorized")
        nobody = Client(self.server.url, self.server.authority, None)
        answer = self.refused(nobody.get(self.core("configmaps")), 403, "Forbidden")
        self.assertIn('User "system:anonymous" cannot list resource "configmaps"', answer.message)
        self.assertEqual(nobody.get("/readyz", accept="*/*").raw, b"ok")

    def test_the_token_of_an_account_that_is_gone(self):
        self.grant("reader", self.rule(["configmaps"], ["list"]))
        self.becomes(200, lambda: self.limited.get(self.core("configmaps")))
        self.made(self.api.delete(self.core("serviceaccounts", "limited")))
        self.becomes(401, lambda: self.limited.get(self.core("configmaps")), "the token is refused")

    def may(self, client, **attributes):
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                  "spec": {"resourceAttributes": {"namespace": self.namespace} | attributes}}
        return self.made(client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review))["status"]["allowed"]

    def test_access_reviews_tell_the_same(self):
        self.grant("reader", self.rule(["configmaps"], ["get"], names=["a"]), self.rule(["pods/log"], ["get"]))
        eventually("the grant", lambda: self.may(self.limited, verb="get", resource="configmaps", name="a"))
        self.assertFalse(self.may(self.limited, verb="get", resource="configmaps", name="b"))
        self.assertFalse(self.may(self.limited, verb="get", resource="configmaps"))
        self.assertFalse(self.may(self.limited, verb="get", resource="configmaps", name="a", namespace="default"))
        self.assertTrue(self.may(self.limited, verb="get", resource="pods", subresource="log"))
        self.assertFalse(self.may(self.limited, verb="get", resource="pods"))
        self.assertTrue(self.may(self.api, verb="delete", resource="nodes"))

    def test_the_admin_may_act_as_others(self):
        self.grant("reader", self.rule(["configmaps"], ["list"]))
        path = self.core("configmaps")
        self.becomes(200, lambda: self.api.get(path, headers={"Impersonate-User": self.user}))
        self.denied(self.api.get(self.core("secrets"), headers={"Impersonate-User": self.user}), "list", "secrets")
        answer = self.refused(self.limited.get(path, headers={"Impersonate-User": "admin"}), 403, "Forbidden")
        self.assertIn('cannot impersonate resource "users"', answer.message)
