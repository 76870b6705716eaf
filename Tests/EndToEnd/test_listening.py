"""A local cluster that listens on all addresses: reached on loopback, over IPv4 and, with `::`, over IPv6."""

import json
import socket
import unittest
import urllib.request

from fathom import EXCHANGE, Cluster, eventually, manifest


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as own:
            own.bind(("::1", 0))
            return True
    except OSError:
        return False


class Listening(unittest.TestCase):
    def listen_on(self, host, *addresses):
        with Cluster(workers=1, arguments=("--simulate", "--host", host)) as cluster:
            cluster.apply(manifest("BTCUSDT"))
            path = f"/get_asks?exchange={EXCHANGE}&market=BTCUSDT&limit_count=1"
            eventually("the book answers", lambda: cluster.get(path)["result"] == "OK", 60)
            for address in addresses:
                url = f"http://{address}:{cluster.up['gateway']['port']}{path}"
                with urllib.request.urlopen(url, timeout=10) as reply:
                    self.assertEqual(json.loads(reply.read())["result"], "OK", url)
            # A client on this machine must be able to use what the cluster says of itself.
            self.assertEqual(cluster.up["gateway"]["url"], f"http://127.0.0.1:{cluster.up['gateway']['port']}")

    def test_every_ipv4_address(self):
        self.listen_on("0.0.0.0", "127.0.0.1")

    @unittest.skipUnless(has_ipv6(), "this machine has no IPv6")
    def test_every_address(self):
        self.listen_on("::", "127.0.0.1", "[::1]")


if __name__ == "__main__":
    unittest.main()
