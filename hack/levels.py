"""Order books as dictionaries, the rules that others keep them by, and the comparison with the truth."""

import bisect
from decimal import Decimal

SIDES = ("asks", "bids")


def number(value):
    """An exact whole number of 10^-8, from text or a Decimal; fast for the usual text with eight decimals."""
    if isinstance(value, str) and value[-9:-8] == ".":
        return int(value.replace(".", ""))
    scaled = Decimal(value).scaleb(8)
    if scaled != int(scaled):
        raise ValueError(f"{value} has more than eight decimals")
    return int(scaled)


def read(pairs):
    """A side as {price: quantity}."""
    return {number(price): number(quantity) for price, quantity in pairs}


def best_first(side, prices):
    return sorted(prices, reverse=side == "bids")


class NaiveBook:
    """All levels of a snapshot and of every event after it, nothing ever thrown away."""

    def __init__(self, snapshot):
        self.last_id = snapshot["lastUpdateId"]
        self.sides = {side: read(snapshot[side]) for side in SIDES}

    def apply(self, event):
        """Applies the event unless it is old; false if events are missing before it."""
        if event["u"] <= self.last_id:
            return True
        if event["U"] > self.last_id + 1:
            return False
        self.last_id = event["u"]
        for side, key in (("asks", "a"), ("bids", "b")):
            levels = self.sides[side]
            for price, quantity in event[key]:
                self.set(side, levels, number(price), number(quantity))
            self.tidy(side, levels)
        return True

    def set(self, side, levels, price, quantity):
        if quantity:
            levels[price] = quantity
        else:
            levels.pop(price, None)

    def tidy(self, side, levels):
        """What is done after each event."""


class CutBook(NaiveBook):
    """The same, cut to the best 1000 after each event."""

    limit = 1000

    def __init__(self, snapshot):
        super().__init__(snapshot)
        # From the best price on; bids are negative.
        self.ordered = {side: sorted(self.sign(side) * price for price in self.sides[side]) for side in SIDES}

    @staticmethod
    def sign(side):
        return 1 if side == "asks" else -1

    def set(self, side, levels, price, quantity):
        key, ordered = self.sign(side) * price, self.ordered[side]
        if quantity and price not in levels:
            bisect.insort(ordered, key)
        elif not quantity and price in levels:
            del ordered[bisect.bisect_left(ordered, key)]
        super().set(side, levels, price, quantity)

    def tidy(self, side, levels):
        ordered = self.ordered[side]
        for key in ordered[self.limit:]:
            del levels[self.sign(side) * key]
        del ordered[self.limit:]


class Tally:
    """Levels compared with the truth, by outcome."""

    def __init__(self):
        self.matched = self.drifted = self.orphaned = self.missed = 0
        self.comparisons = self.faulty = 0
        self.fewest = None
        self.most = 0

    @property
    def compared(self):
        return self.matched + self.drifted + self.orphaned + self.missed

    @property
    def share(self):
        return f"{100 * self.matched / self.compared:.2f} %" if self.compared else "-"

    def compare(self, held, true, inside):
        """Classes each level that `inside` lets through: the same, another quantity, not there in truth, or not held."""
        held = {price: quantity for price, quantity in held.items() if inside(price)}
        true = {price: quantity for price, quantity in true.items() if inside(price)}
        matched = sum(1 for price, quantity in held.items() if true.get(price) == quantity)
        orphaned = sum(1 for price in held if price not in true)
        drifted = len(held) - matched - orphaned
        missed = sum(1 for price in true if price not in held)
        self.matched += matched
        self.drifted += drifted
        self.orphaned += orphaned
        self.missed += missed
        self.comparisons += 1
        self.faulty += 1 if drifted + orphaned + missed else 0
        return matched, drifted, orphaned, missed

    def covered(self, count):
        self.fewest = count if self.fewest is None else min(self.fewest, count)
        self.most = max(self.most, count)


def within_best(side, levels, count):
    """A test whether a price is among the best `count` of `levels`, by price."""
    ordered = best_first(side, levels)
    if len(ordered) <= count:
        return lambda price: True
    last = ordered[count - 1]
    return (lambda price: price <= last) if side == "asks" else (lambda price: price >= last)


def within_bound(side, bound):
    """A test whether a price lies inside a stated coverage; None: the side is whole."""
    if bound is None:
        return lambda price: True
    bound = number(bound)
    return (lambda price: price <= bound) if side == "asks" else (lambda price: price >= bound)


def table(head, rows):
    """A Markdown table with columns as wide as their widest cell."""
    rows = [list(map(str, row)) for row in [head, *rows]]
    widths = [max(len(row[index]) for row in rows) for index in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
