"""The peer's own dashboard, unchanged from PyPI, in a browser: connect, add, prices, out of sync, credentials, remove.

With FATHOM_SCREENSHOTS the pictures are kept in that directory.
"""

import os
import pathlib
import socket
import subprocess
import tempfile
import unittest
import urllib.parse
import urllib.request
from decimal import Decimal

from browser import Page
from fathom import EXCHANGE, Cluster, eventually
from packages import PYTHON

KEY, SECRET = "dAshK3yAbCdEfGhIjKlMnOpQr", "dAshS3cretZyXwVuTsRqPoNm"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def price_text(text):
    """How the dashboard writes a price."""
    price = float(text)
    if price >= 1000:
        return f"{price:.2f}"
    if price >= 1:
        return f"{price:.4f}"
    return f"{price:.5f}" if price >= 0.01 else f"{price:#.6g}"


class Dashboard(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(workers=2, simulator=["--symbols", 12, "--rate", 1]))
        self.pictures = pathlib.Path(os.environ.get("FATHOM_SCREENSHOTS") or self.enterContext(tempfile.TemporaryDirectory()))
        self.pictures.mkdir(parents=True, exist_ok=True)
        port = free_port()
        dashboard = subprocess.Popen([PYTHON.parent / "ubdcc-dashboard", "start", "--no-browser", "--port", str(port)],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(dashboard.wait, 20)
        self.addCleanup(dashboard.terminate)
        self.url = f"http://127.0.0.1:{port}/"

        def version():
            with urllib.request.urlopen(f"{self.url}version", timeout=15) as reply:
                return reply.read()
        eventually("the dashboard serves its page", version, 30)

    def internet(self, url):
        """What the dashboard asks of the internet: the exchange's markets are the simulator's, everything else is away."""
        wanted = urllib.parse.unquote(url.split("url=", 1)[1])
        if wanted == "https://api.binance.com/api/v3/exchangeInfo":
            return self.cluster.simulator("/binance.com/api/v3/exchangeInfo")[1]
        return None

    def tile(self, market, exchange=EXCHANGE):
        """What a tile shows: its kind and its text, or its prices."""
        place = f'.tile[data-market="{market}"][data-exchange="{exchange}"]'
        return self.page.run(f"""(() => {{
            const tile = document.querySelector('{place}');
            if (!tile) return null;
            const texts = selector => [...tile.querySelectorAll(selector)].map(found => found.textContent);
            return {{kind: [...tile.classList].filter(name => name !== "tile"), border: getComputedStyle(tile).borderColor,
                     message: texts(".msg").join(), asks: texts(".ask .price").reverse(), bids: texts(".bid .price")}};
        }})()""")

    def shows_the_book(self, market, exchange=EXCHANGE):
        """Whether the tile has the three best prices of each side as the exchange itself has them."""
        tile = self.tile(market, exchange)
        if not tile or tile["kind"] != ["ok"]:
            return False
        for side in ("asks", "bids"):
            update_id = self.cluster.levels(side, market, exchange, limit_count=1)["update_id"]
            true = self.cluster.truth(market, update_id, exchange)[side][:3]
            if tile[side] != [price_text(price) for price, _ in true]:
                return False
        return True

    def test_a_day_with_the_dashboard(self):
        page = self.page = self.enterContext(Page(self.internet))
        page.open(self.url)
        self.assertEqual(eventually("its version shows", lambda: page.run("document.getElementById('dashVersion').textContent")), "v0.3.1")

        # Connect.
        page.type("#dccUrl", f"http://127.0.0.1:{self.cluster.gateway[1]}/")
        page.choose("#refresh", "250")
        page.click("#connectBtn")
        eventually("it is connected", lambda: "No DepthCaches configured yet" in page.run("document.getElementById('empty').textContent"))
        eventually("the cluster is healthy", lambda: self.health() == "ok")

        # Add: picked from a list, and typed where the dashboard has no list.
        page.click("#addBtn")
        eventually("markets are offered", lambda: page.run("document.querySelectorAll('.mkt-item').length") >= 12)
        for market in ("BTCUSDT", "ETHUSDT", "BNBUSDT"):
            page.click(f'.mkt-item[title="{market}"]')
        page.type("#m_replicas", "2")
        page.click("#m_submit")
        eventually("the tiles are there", lambda: page.run("document.querySelectorAll('.tile').length") == 3)
        page.click("#addBtn")
        page.choose("#m_exchange", "trbinance.com")
        eventually("symbols can be typed", lambda: page.run("modal.mode") == "freetext")
        page.type("#m_filter", "btcusdt")
        page.click("#m_submit")
        eventually("the typed one is there", lambda: self.tile("BTCUSDT", "trbinance.com"))

        # Prices.
        for market in ("BTCUSDT", "ETHUSDT", "BNBUSDT"):
            eventually(f"{market} shows its book", lambda: self.shows_the_book(market), 90)
        eventually("trbinance.com BTCUSDT shows its book", lambda: self.shows_the_book("BTCUSDT", "trbinance.com"), 90)
        page.click("#clusterStatusBtn")
        page.click("#ci_refresh")
        eventually("the cluster is healthy with all of them", lambda: page.click("#ci_refresh") or self.health() == "ok", 60, pause=1)
        text = page.run("document.getElementById('ci_body').innerText")
        for word in ("fathom-worker-0", "fathom-worker-1", "fathom-gateway-0"):
            self.assertIn(word, text)
        page.screenshot(self.pictures / "2-cluster.png")
        page.click("#ci_close")
        eventually("four tiles are green", lambda: page.run("document.querySelectorAll('.tile.ok').length") == 4)
        page.screenshot(self.pictures / "1-prices.png")

        # Out of sync: both copies lose a change at the same time, and the snapshot that would mend it is long in coming.
        self.cluster.fault("ETHUSDT", "slowsnapshot", delay=6)
        self.cluster.fault("ETHUSDT", "gap")
        red = eventually("ETHUSDT is red", lambda: (tile := self.tile("ETHUSDT")) and tile["kind"] == ["desync"] and tile, 20, pause=0.02)
        self.assertEqual(red["message"], "OUT OF SYNC")
        page.screenshot(self.pictures / "3-out-of-sync.png")
        self.assertEqual(self.tile("BTCUSDT")["kind"], ["ok"])
        eventually("ETHUSDT shows its book again", lambda: self.shows_the_book("ETHUSDT"), 60)

        # Credentials.
        page.click("#credentialsBtn")
        page.type("#cr_key", KEY)
        page.type("#cr_secret", SECRET)
        page.click("#cr_submit")
        eventually("they are listed", lambda: "dAsh****" in page.run("document.getElementById('cr_list').innerText"))
        page.screenshot(self.pictures / "4-credentials.png")
        self.assertNotIn(KEY, page.run("document.documentElement.outerHTML"))
        page.click(".cr-rm")
        page.click(".cr-item.arm-remove .cr-rm")
        eventually("they are gone", lambda: "no credentials configured" in page.run("document.getElementById('cr_list').innerText"))
        page.click("#cr_close")

        # Remove: one, then what a filter leaves.
        page.run("document.querySelector('.tile[data-market=\"BNBUSDT\"]').classList.add('to-remove')")
        page.click(".to-remove .close")
        page.click(".to-remove.arm-remove .close")
        eventually("one tile less", lambda: page.run("document.querySelectorAll('.tile').length") == 3)
        page.type("#filter", "ETH")
        page.click("#rmFilteredBtn")
        page.click("#rmFilteredBtn.arm")
        eventually("two are left", lambda: page.run("document.querySelectorAll('.tile').length") == 2)
        left = self.cluster.get("/get_depthcache_list")["depthcache_list"]
        self.assertEqual({exchange: list(markets) for exchange, markets in left.items() if markets},
                         {EXCHANGE: ["BTCUSDT"], "trbinance.com": ["BTCUSDT"]})
        page.type("#filter", " ")
        eventually("the rest shows", lambda: page.run("document.querySelectorAll('.tile.ok:not([style*=none])').length") == 2)
        page.screenshot(self.pictures / "5-removed.png")
        self.assertEqual((page.dialogs, page.errors), ([], []))

    def health(self):
        return self.page.run("document.getElementById('clusterStatusBtn').dataset.health")


if __name__ == "__main__":
    unittest.main()
