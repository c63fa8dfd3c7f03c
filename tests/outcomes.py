#!/usr/bin/env python3
"""What became of a test run: each skip with its reason, and the count.

    tests/outcomes.py REPORT [ALLOWED]

REPORT is ctest's JUnit file, ALLOWED the list of skips that may be (default: allowed-skips beside this script). A skip
that is not on the list is a failure. The last line is "N passed, N failed"; the status is 0 where nothing failed.
"""
import os
import re
import sys
import xml.etree.ElementTree as ElementTree


def allowed_skips(path):
    rules = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            name, separator, reason = line.partition(": ")
            if not separator:
                sys.exit(f"{path}:{number}: not NAME: REASON")
            rules.append((re.compile(name), re.compile(reason, re.DOTALL)))
    return rules


def reason_of(test):
    """The sentence behind GTEST_SKIP(), or what ctest says of a test that it did not run."""
    output = test.findtext("system-out") or ""
    said = re.search(r": Skipped\n(.*?)\n*^\[ +SKIPPED +\]", output, re.DOTALL | re.MULTILINE)
    if said and said.group(1).strip():
        return said.group(1).strip()
    skipped = test.find("skipped")
    message = skipped.get("message", "") if skipped is not None else ""
    return message if message and "SKIP_REGULAR" not in message else "no reason given"


def main(report, allowed):
    tests = list(ElementTree.parse(report).getroot().iter("testcase"))
    rules = allowed_skips(allowed)
    passed, failed = 0, []
    for test in tests:
        # ctest's name of a test with a parameter goes on with the parameter's bytes.
        name = re.sub(r"\s+# GetParam\(\) =.*", "", test.get("name", "?"), flags=re.DOTALL)
        if test.get("status") == "run" and test.find("failure") is None and test.find("skipped") is None:
            passed += 1
        elif test.find("failure") is not None or test.get("status") == "fail":
            failed.append(name)
        else:
            reason = reason_of(test)
            if any(n.fullmatch(name) and r.fullmatch(reason) for n, r in rules):
                print(f"not run here: {name}: {reason}")
            else:
                print(f"FAILED, because it was not run: {name}: {reason}")
                failed.append(name)
    if not tests:
        print("FAILED: the report holds no test")
        failed.append("all")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3
                  else os.path.join(os.path.dirname(os.path.abspath(__file__)), "allowed-skips")))
