"""What the chart makes, rendered by Helm with several sets of values."""

import re
import unittest

import helm_python
import kubernetes_validate
import yaml

from chart import CHART, COMPONENTS, ROOT, VALUE_SETS, identity, kinds, named, notes, pods, render, values

# The oldest and the newest that are supported and known to the schemas.
VERSIONS = ("1.30", "1.33", "1.36")


class Rendering(unittest.TestCase):
    def test_helm_finds_nothing_to_say(self):
        for name in VALUE_SETS:
            report = helm_python.lint(CHART, values(name), strict=True, kube_version="v1.30.0")
            said = [message for message in report["messages"] if message["error"] != "icon is recommended"]
            self.assertEqual((said, report["errors"]), ([], []), name)

    def test_every_object_keeps_the_schemas_of_kubernetes(self):
        count = 0
        for name in VALUE_SETS:
            for thing in render(values(name)):
                for version in VERSIONS:
                    with self.subTest(values=name, object=identity(thing), version=version):
                        if thing["kind"] == "CustomResourceDefinition":
                            # The schemas' own description of itself refers to itself; test_definitions.py looks at these.
                            continue
                        kubernetes_validate.validate(thing, version, strict=True)
                        count += 1
        self.assertGreater(count, 100)

    def test_every_object_says_whose_it_is(self):
        for thing in render(values("full")):
            labels = thing["metadata"]["labels"]
            self.assertEqual((labels["app.kubernetes.io/name"], labels["app.kubernetes.io/instance"], labels["team"]),
                             ("fathom", "fathom", "markets"), identity(thing))
        for component, pod in pods(render(values("full"))).items():
            labels = pod["metadata"]["labels"]
            self.assertEqual((labels["app.kubernetes.io/name"], labels["app.kubernetes.io/component"], labels["team"]),
                             ("fathom", component, "markets"))

    def test_budgets_spread_and_services_select_their_pods(self):
        objects = render(values("defaults"))
        for component, pod in pods(objects).items():
            labels = pod["metadata"]["labels"]
            selectors = [named(objects, "Deployment", f"fathom-{component}")["spec"]["selector"]["matchLabels"],
                         named(objects, "PodDisruptionBudget", f"fathom-{component}")["spec"]["selector"]["matchLabels"]]
            spread = pod["spec"]["topologySpreadConstraints"]
            self.assertEqual([each["topologyKey"] for each in spread], ["topology.kubernetes.io/zone", "kubernetes.io/hostname"])
            selectors += [each["labelSelector"]["matchLabels"] for each in spread]
            if component == "gateway":
                selectors.append(named(objects, "Service", "fathom-gateway")["spec"]["selector"])
            for selector in selectors:
                self.assertLessEqual(selector.items(), labels.items())
                self.assertEqual(selector["app.kubernetes.io/component"], component)

    def test_the_load_balancer_leads_to_the_gateway_and_never_to_metrics(self):
        service = named(render(), "Service", "fathom-gateway")["spec"]
        self.assertEqual((service["type"], [(p["port"], p["targetPort"]) for p in service["ports"]]), ("LoadBalancer", [(80, "http")]))
        full = named(render(values("full")), "Service", "fathom-gateway")["spec"]
        self.assertEqual(full["loadBalancerSourceRanges"], ["10.0.0.0/8", "fd00::/8"])
        self.assertEqual((full["ports"][0]["port"], full["externalTrafficPolicy"], full["loadBalancerClass"]),
                         (8000, "Local", "example.com/internal"))
        ports = {p["name"]: p["containerPort"] for p in pods(render())["gateway"]["spec"]["containers"][0]["ports"]}
        self.assertEqual(ports, {"http": 8080, "health": 9090})

    def test_pods_ask_to_be_scraped_where_their_metrics_are_and_may_be_told_not_to(self):
        for component, pod in pods(render()).items():
            notes = pod["metadata"]["annotations"]
            self.assertEqual((notes["prometheus.io/scrape"], notes["prometheus.io/path"]), ("true", "/metrics"))
            ports = {str(p["containerPort"]): p["name"] for p in pod["spec"]["containers"][0]["ports"]}
            self.assertEqual(ports[notes["prometheus.io/port"]], "link" if component == "worker" else "health")
        for pod in pods(render({"podAnnotations": {"prometheus.io/scrape": "false", "team": "markets"}})).values():
            notes = pod["metadata"]["annotations"]
            self.assertEqual((notes["prometheus.io/scrape"], notes["team"]), ("false", "markets"))

    def test_workers_are_replaced_by_surge_and_have_time_to_hand_over(self):
        worker = named(render(name="books"), "Deployment", "books-worker")["spec"]
        self.assertEqual(worker["strategy"]["rollingUpdate"], {"maxSurge": 1, "maxUnavailable": 0})
        for name, grace in (("defaults", 120), ("full", 300)):
            objects = render(values(name))
            config = yaml.safe_load(named(objects, "ConfigMap", "fathom-config")["data"]["config.yaml"])
            self.assertEqual(pods(objects)["worker"]["spec"]["terminationGracePeriodSeconds"], grace)
            self.assertEqual(config["worker"]["drainSeconds"], grace - 10)

    def test_changed_settings_restart_the_pods_that_they_concern(self):
        def digests(given):
            return {component: pod["metadata"]["annotations"]["fathom.dev/config-digest"]
                    for component, pod in pods(render(given)).items()}

        plain, threads, exchange = digests({}), digests({"worker": {"threads": 7}}), digests({"exchanges": {"binance.us": {"weightPerMinute": 9}}})
        self.assertEqual({c for c in COMPONENTS if plain[c] != threads[c]}, {"worker"})
        self.assertEqual({c for c in COMPONENTS if plain[c] != exchange[c]}, set(COMPONENTS))

    def test_exchanges_and_their_certificates_reach_the_programs(self):
        data = named(render(values("full")), "ConfigMap", "fathom-config")["data"]
        self.assertEqual(yaml.safe_load(data["exchanges.yaml"]), values("full")["exchanges"])
        self.assertEqual(data["proxy.pem"], values("full")["exchangeCertificates"]["proxy.pem"])
        for section in yaml.safe_load(data["config.yaml"]).values():
            self.assertEqual(section["exchanges"], "/etc/fathom/exchanges.yaml")
        plain = named(render(), "ConfigMap", "fathom-config")["data"]
        self.assertEqual(list(plain), ["config.yaml"])
        self.assertNotIn("exchanges", yaml.safe_load(plain["config.yaml"])["worker"])

    def test_who_may_do_what_reaches_the_gateway_and_nobody_else(self):
        def gateway(given):
            sections = yaml.safe_load(named(render(given), "ConfigMap", "fathom-config")["data"]["config.yaml"])
            for component in ("controller", "worker"):
                self.assertFalse({"anonymous", "tokensSecret", "requestRate", "tlsCertFile"} & set(sections[component]))
            return sections["gateway"]

        plain = gateway({})
        self.assertEqual((plain["anonymous"], plain["tokensSecret"], plain["requestRate"]), ("read", "fathom-tokens", 10000))
        self.assertNotIn("tlsCertFile", plain)
        full = gateway(values("full"))
        self.assertEqual((full["anonymous"], full["tokensSecret"], full["requestRate"], full["corsOrigins"]),
                         ("none", "books-tokens", 50, ["https://board.example"]))
        self.assertEqual(full["tlsKeyFile"], "/etc/fathom-tls/tls.key")
        # Whoever allows managing without a token has allowed reading as well.
        self.assertEqual(gateway({"auth": {"anonymous": "none", "allowAnonymousManage": True}})["anonymous"], "manage")
        self.assertNotIn("tokensSecret", gateway(values("minimal")))

    def test_the_values_of_limits_are_the_programs_own_defaults(self):
        """Or a gateway started by hand would bear something else than one of the chart."""
        reference = (ROOT / "docs/configuration.md").read_text()
        for key, value in yaml.safe_load((CHART / "values.yaml").read_text())["limits"].items():
            row = re.search(rf"^.*`{key}`.*$", reference, re.M)[0]
            if value == [] or key == "requestRate":
                continue
            self.assertIn(f"| `{value}` |", row)

    def test_a_certificate_is_mounted_so_that_its_changes_come_through(self):
        spec = pods(render(values("full")))["gateway"]["spec"]
        (mount,) = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "tls"]
        self.assertEqual((mount["mountPath"], mount["readOnly"], "subPath" in mount), ("/etc/fathom-tls", True, False))
        self.assertIn({"name": "tls", "secret": {"secretName": "books-certificate", "defaultMode": 0o440}}, spec["volumes"])
        (port,) = named(render(values("full")), "Service", "fathom-gateway")["spec"]["ports"]
        self.assertEqual((port["name"], port["appProtocol"], port["port"]), ("https", "https", 8000))
        (port,) = named(render({"tls": {"secretName": "certificate"}}), "Service", "fathom-gateway")["spec"]["ports"]
        self.assertEqual(port["port"], 443)
        for name in ("controller", "worker"):
            self.assertNotIn("tls", [volume["name"] for volume in pods(render(values("full")))[name]["spec"]["volumes"]])

    def test_the_notes_say_who_may_do_what(self):
        said = notes()
        self.assertIn("Reading needs no token", said)
        self.assertIn("kubectl create secret generic -n fathom fathom-tokens", said)
        self.assertIn("cross the network as they are", said)
        self.assertIn("WARNING: auth.allowAnonymousManage", notes(values("minimal")))
        full = notes(values("full"))
        self.assertIn("Every request needs a token", full)
        self.assertIn("curl --insecure 'https://127.0.0.1:8080", full)
        self.assertNotIn("cross the network as they are", full)

    def test_further_settings_win(self):
        config = yaml.safe_load(named(render(values("full")), "ConfigMap", "fathom-config")["data"]["config.yaml"])
        self.assertEqual((config["controller"]["logLevel"], config["worker"]["logLevel"]), ("debug", "warning"))
        self.assertEqual((config["worker"]["threads"], config["worker"]["feeds"], config["gateway"]["allowedHost"]), (4, 2, ["books.example"]))

    def test_every_release_name_is_told_by_its_services(self):
        for bad in ("1st", "a.b"):
            with self.assertRaisesRegex(helm_python.HelmError, "has to begin with a letter"):
                render(name=bad)

    def test_the_notes_give_three_commands(self):
        said = notes(name="books", namespace="markets")
        for words in ("kubectl apply -n markets", "kubectl wait -n markets depthcache/btcusdt", "service/books-gateway 8080:80",
                      "/get_asks?exchange=binance.com&market=BTCUSDT"):
            self.assertIn(words, said)
        self.assertIn("lets in whoever reaches that address", said)
        self.assertNotIn("lets in whoever reaches that address", notes(values("full")))
        self.assertNotIn("load balancer", notes(values("minimal")))
        self.assertIn("With one worker", notes(values("minimal")))
        applied = yaml.safe_load(re.search(r"<<'END'\n(.*?)\n *END", said, re.S)[1])
        self.assertEqual(applied["kind"], "DepthCache")


class Versions(unittest.TestCase):
    def test_chart_and_programs_have_one_version(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        program = re.search(r'static let version = "(.+)"', (ROOT / "Sources/fathom/Main.swift").read_text())[1]
        self.assertEqual((chart["version"], chart["appVersion"]), (program, program))


class Markets(unittest.TestCase):
    def test_the_controller_may_publish_the_markets_of_every_exchange(self):
        exchanges = re.findall(r"^\| `([a-z.\-_]+)` \|", (ROOT / "docs/exchanges.md").read_text(), re.M)
        wanted = {"fathom-markets-" + re.sub("[^a-z0-9]+", "-", name) for name in exchanges}
        self.assertEqual(len(wanted), 13)
        made = {thing["metadata"]["name"] for thing in kinds(render(), "ConfigMap")} - {"fathom-config", "fathom-credentials"}
        self.assertEqual(made, wanted)
        rules = named(render(), "Role", "fathom-controller")["rules"]
        allowed = {name for rule in rules if rule["resources"] == ["configmaps"] for name in rule.get("resourceNames", [])}
        self.assertEqual(allowed, {"fathom-credentials"} | wanted | {f"{name}-{part}" for name in wanted for part in (1, 2, 3)})
