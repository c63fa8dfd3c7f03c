#!/usr/bin/env python3
"""Checks that hold for the source tree as a whole: its layout, its arrows, its language.

    tests/house/check.py format|arrows|language|functions

Prints one line for each fault, `FILE:LINE: what is wrong`, and ends with 1 if there is any. What it looks at are
the files that git tracks, or, in a tree without git, all files.
"""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLANG_FORMAT = "clang-format-19"  # .clang-format says why this version

# What each room may include, beside itself: the table of "The house" in README.
FIRMWARE = ["firmware"]
HARNESS_COMMON = ["harness/system", "harness/text", "firmware/wire", "firmware/measure", "labs/catalogue.h", "labs/kit/lab.h"]
ROOMS = {
    "firmware/boot": ["firmware/cpu"],
    "firmware/cpu": [],
    "firmware/platform": ["firmware/cpu"],
    "firmware/wire": [],
    "firmware/measure": ["firmware/cpu", "firmware/wire"],
    "firmware/nic": ["firmware/cpu", "firmware/platform", "firmware/wire"],
    "firmware/kernel": ["firmware/cpu", "firmware/platform"],
    "labs/kit": FIRMWARE,
    "labs/image": FIRMWARE + ["labs/kit", "labs/catalogue.h"],
    "labs": FIRMWARE + ["labs/kit"],
    "host": ["firmware/wire", "firmware/measure", "labs/kit/bodies.h", "labs/kit/bodies.list", "labs/kit/lab.h",
             "labs/kit/primitives.h", "labs/kit/walks.h"],
    "harness/system": [],
    "harness/text": ["harness/system"],
    "harness/machine": HARNESS_COMMON,
    "harness/outside": HARNESS_COMMON + ["harness/machine"],
    "harness/data": HARNESS_COMMON,
    "harness/run": HARNESS_COMMON + ["harness/data", "harness/outside", "harness/machine", "host"],
    "harness/results": HARNESS_COMMON + ["labs/kit/results.h", "harness/run", "harness/data", "harness/machine"],
    "harness/peers": HARNESS_COMMON + ["harness/results", "harness/run", "harness/data", "harness/machine"],
    "harness/commands": ["harness", "firmware/wire", "firmware/measure", "labs/catalogue.h", "labs/kit/lab.h", "host"],
    "harness": ["harness"],
}

# Phrases that read as translated; style: the documentation of Linux, LLVM or seL4.
PHRASES = re.compile(r"(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b)\w+|\bto be had\b|\bis of use\b|\bin vain\b", re.I)
PHRASES_ALLOWED = 5

LONGEST_FUNCTION = 60
# Names (a header and its body share one) that a room of the harness has at most; commands/ has one file a word.
MOST_NAMES = 12


def files(*endings):
    try:
        listed = subprocess.run(["git", "-C", TOP, "ls-files", "-co", "--exclude-standard"], check=True,
                                capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        listed = [os.path.relpath(os.path.join(where, name), TOP)
                  for where, _, names in os.walk(TOP) for name in names]
    chosen = sorted(f for f in listed if f.endswith(endings) and os.path.isfile(os.path.join(TOP, f))
                    and not f.startswith(("build", "results", "tests/house/")))
    if len(chosen) < 50:
        sys.exit(f"only {len(chosen)} sources found below {TOP}: this check saw too little to pass")
    return chosen


def lines(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as source:
        return source.read().splitlines()


def check_format():
    names = files(".cpp", ".h")
    try:
        run = subprocess.run([CLANG_FORMAT, "--dry-run", "-Werror", *names], cwd=TOP, capture_output=True, text=True)
    except FileNotFoundError:
        return [f"{CLANG_FORMAT} is missing: install the package {CLANG_FORMAT}"]
    faults = sorted({line.split(":")[0] for line in run.stderr.splitlines() if "error:" in line})
    if run.returncode != 0 and not faults:
        return [f"{CLANG_FORMAT} failed: {run.stderr.strip()}"]
    return [f"{name}: differs from {CLANG_FORMAT}; run: {CLANG_FORMAT} -i {name}" for name in faults]


def room_of(name):
    fitting = [room for room in ROOMS if name.startswith(room + "/")]
    return max(fitting, key=len, default=None)


def check_arrows():
    faults, arrows, names = [], 0, {}
    for name in files(".cpp", ".h", ".S"):
        if name.startswith("tests/"):
            continue
        if name.startswith("harness/") and not name.startswith("harness/commands/"):
            names.setdefault(os.path.dirname(name), set()).add(os.path.splitext(name)[0])
        room = room_of(name)
        if room is None:
            faults.append(f"{name}: lies in a folder that is not a room of the house")
            continue
        allowed = ROOMS[room] + [room]
        for number, line in enumerate(lines(name), 1):
            included = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not included:
                continue
            arrows += 1
            target = included[1]
            if not any(target == a or target.startswith(a + "/") for a in allowed):
                faults.append(f"{name}:{number}: {room} may not include {target}")
    faults += [f"{folder}: {len(held)} names, over {MOST_NAMES}" for folder, held in sorted(names.items())
               if len(held) > MOST_NAMES]
    if arrows < 200:
        faults.append(f"only {arrows} includes found: this check saw too little to pass")
    return faults


def check_language():
    found = [f"{name}:{number}: \"{match[0]}\" (say it the usual way)"
             for name in files(".cpp", ".h", ".S", ".md", ".js", ".txt", "Makefile")
             for number, line in enumerate(lines(name), 1) for match in PHRASES.finditer(line)]
    return found if len(found) > PHRASES_ALLOWED else []


def check_functions():
    """The formatter puts a function's first and last line at column 0 (methods inside a class are short)."""
    faults = []
    for name in files(".cpp", ".h"):
        begin = None
        for number, line in enumerate(lines(name), 1):
            if begin is None and re.match(r"[A-Za-z~].*[{(,]$", line) and not re.match(
                    r"(namespace|struct|class|enum|union|extern|using|inline constexpr|constexpr|static constexpr|const)\b.*[{]$",
                    line):
                begin = number
            elif begin is not None and line.startswith("}"):
                if line == "}" and number - begin + 1 > LONGEST_FUNCTION:
                    faults.append(f"{name}:{begin}: a function of {number - begin + 1} lines, over {LONGEST_FUNCTION}")
                begin = None
            elif begin is not None and line and not line.startswith((" ", ")", "#")) and number > begin and ";" in line:
                begin = None
    return faults


CHECKS = {"format": check_format, "arrows": check_arrows, "language": check_language, "functions": check_functions}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in CHECKS:
        sys.exit(f"usage: check.py {'|'.join(CHECKS)}")
    found = CHECKS[sys.argv[1]]()
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)
