#!/usr/bin/env python3
"""Tests of tests/outcomes.py: what it says of reports as ctest writes them."""
import os
import subprocess
import sys
import tempfile
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOOD = '<testcase name="A.Good" status="run"/>'
BAD = '<testcase name="A.Bad" status="fail"><failure message=""/></testcase>'


def skipped(name, reason):
    return (f'<testcase name="{name}" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/><system-out>'
            f'[ RUN      ] {name}\n/a/b.cpp:7: Skipped\n{reason}\n\n[  SKIPPED ] {name} (0 ms)\n</system-out></testcase>')


class Outcomes(unittest.TestCase):
    def run_on(self, *cases, allowed="A\\.Tap: no tap in .*\n"):
        with tempfile.TemporaryDirectory() as folder:
            report, rules = os.path.join(folder, "tests.xml"), os.path.join(folder, "allowed")
            with open(report, "w", encoding="utf-8") as file:
                file.write("<testsuite>" + "".join(cases) + "</testsuite>")
            with open(rules, "w", encoding="utf-8") as file:
                file.write(allowed)
            done = subprocess.run([sys.executable, os.path.join(TESTS, "outcomes.py"), report, rules],
                                  capture_output=True, text=True, check=False)
            return done.returncode, done.stdout

    def test_counts(self):
        self.assertEqual(self.run_on(GOOD, GOOD), (0, "2 passed, 0 failed\n"))
        self.assertEqual(self.run_on(GOOD, BAD), (1, "1 passed, 1 failed\n"))

    def test_names_an_allowed_skip_with_its_reason(self):
        status, said = self.run_on(GOOD, skipped("A.Tap", "no tap in this\nmachine"))
        self.assertEqual(status, 0)
        self.assertIn("not run here: A.Tap: no tap in this\nmachine\n", said)
        self.assertTrue(said.endswith("1 passed, 0 failed\n"))

    def test_another_reason_or_another_test_is_a_failure(self):
        for one in skipped("A.Tap", "there is no chromium"), skipped("A.Other", "no tap in this machine"):
            status, said = self.run_on(GOOD, one)
            self.assertEqual(status, 1)
            self.assertIn("FAILED, because it was not run: ", said)
            self.assertTrue(said.endswith("1 passed, 1 failed\n"))

    def test_a_test_that_is_disabled_or_whose_program_is_missing_is_a_failure(self):
        for how in "disabled", "notrun":
            self.assertEqual(self.run_on(f'<testcase name="A.Tap" status="{how}"/>')[0], 1)

    def test_no_test_at_all_is_a_failure(self):
        self.assertEqual(self.run_on()[0], 1)

    def test_the_list_itself_is_well_formed(self):
        with open(os.path.join(TESTS, "allowed-skips"), encoding="utf-8") as file:
            self.assertEqual(self.run_on(GOOD, allowed=file.read())[0], 0)


if __name__ == "__main__":
    unittest.main()
