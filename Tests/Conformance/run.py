"""Runs the suite against one server and says in one line how it went; the number of tests is the same for each."""

import sys
import unittest

from servers import CHOSEN


def main(names):
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(names) if names else loader.discover(".")
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    print(f"conformance {CHOSEN}: {result.testsRun} tests, {failed} failed, {len(result.skipped)} skipped")
    for test, reason in result.skipped:
        print(f"  skipped {test.id()}: {reason}")
    return 0 if result.testsRun > 0 and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
