#!/usr/bin/env python3
"""What `make lint` runs: clang-tidy, cppcheck, and each header compiled alone.

    tests/house/lint.py BUILD [tidy|cppcheck|headers]... [--only PREFIX]

BUILD is a configured build folder with compile_commands.json. Prints each finding and ends with 1 if there is any.
"""
import argparse
import concurrent.futures
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLANG_TIDY = "clang-tidy-19"  # Debian 12 and 13 both have it, as clang-format-19
ROOMS = ["firmware", "harness", "host", "labs", "tests"]

CPPCHECK_OFF = {
    # Large buffers are filled before they are read; the constructor of measured state writes nothing twice.
    "uninitMemberVar": "",
    "uninitDerivedMemberVar": "",
    # cppcheck does not know that inline assembly writes its outputs.
    "uninitvar": "firmware/kernel/kernel.cpp labs/kit/timers.h",
    # The two ends of a section, as symbols of the linker script.
    "comparePointers": "labs/hostile.cpp",
    # The value is drawn only where it is needed: one draw more would change all that follow.
    "stlFindInsert": "tests/planted/planted_test.cpp",
}

# Flags of the image's build that clang does not know, or with which it refuses the library's mere declarations.
GCC_ONLY = ["-mgeneral-regs-only", "-fno-ipa-sra"]

# What tests' CMake files define: paths of programs.
PATHS = ["DOORBELL_COMMAND", "DOORBELL_IMAGE", "FAKE_QEMU"]


def tracked(*endings):
    listed = subprocess.run(["git", "-C", TOP, "ls-files", "-co", "--exclude-standard"], check=True,
                            capture_output=True, text=True).stdout.splitlines()
    return [f for f in listed if f.endswith(endings) and f.split("/")[0] in ROOMS and os.path.isfile(os.path.join(TOP, f))]


def run(words):
    return subprocess.run(words, cwd=TOP, capture_output=True, text=True)


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(function, items)


def tidy(build, only):
    """One run a file, by the first of its compile commands. The harness' files come several at a time."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        names = {entry["file"]: None for entry in json.load(file) if not entry["file"].endswith((".S", ".c"))}
    # Files of one batch lie below the build folder, in the folder of their room.
    chosen = [n for n in names if os.path.relpath(n, build if n.startswith(build) else TOP).startswith(only)]
    if len(chosen) < (50 if only == "" else 1):
        return [f"only {len(chosen)} files to look at in {build}"]

    # A file with several commands is looked at by the first alone.
    single = os.path.join(build, "lint")
    os.makedirs(single, exist_ok=True)
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        first = {entry["file"]: entry for entry in reversed(json.load(file))}
    for entry in first.values():
        entry["command"] = " ".join(w for w in entry["command"].split(" ") if w not in GCC_ONLY)
    with open(os.path.join(single, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(list(first.values()), file)

    def one(name):
        ran = run([CLANG_TIDY, "-p", single, "--quiet", f"--config-file={TOP}/.clang-tidy",
                   f"--header-filter=^{TOP}/({'|'.join(ROOMS)})/", "--extra-arg=-Wno-everything", name])
        found = [line for line in ran.stdout.splitlines() if "error:" in line or "warning:" in line]
        if ran.returncode != 0 and not found:
            found = [f"{name}: {CLANG_TIDY} failed: {ran.stderr.strip()[-500:]}"]
        return found

    return sorted({line for found in in_parallel(one, chosen) for line in found})


def cppcheck(build, only):
    rooms = [only] if only else ROOMS
    off = [f"--suppress={what}" + (f":*{place}" if place else "")
           for what, places in CPPCHECK_OFF.items() for place in (places.split() or [""])]
    ran = run(["cppcheck", "-q", f"-j{os.cpu_count()}", "--std=c++20", "--language=c++", "--library=googletest", "--inline-suppr", "-I.",
               "--enable=warning,performance,portability", "-D__STDC_HOSTED__=1", "-D__x86_64__=1", "--error-exitcode=1",
               "--template={file}:{line}: {id}: {message}", *off, *rooms])
    return ran.stderr.splitlines() or ([] if ran.returncode == 0 else [f"cppcheck ended with {ran.returncode}"])


def headers(build, only):
    """Each header compiles alone: it includes what it uses."""
    names = [n for n in tracked(".h") if n.startswith(only) and "/soft_pmu/" not in n]
    if len(names) < (100 if only == "" else 1):
        return [f"only {len(names)} headers found"]

    def one(name):
        ran = run(["g++", "-std=c++20", "-I.", "-fsyntax-only", "-x", "c++", *[f'-D{path}=""' for path in PATHS],
                   "-include", name, "/dev/null"])
        return [] if ran.returncode == 0 else [f"{name}: does not compile alone: " + next(
            (line for line in ran.stderr.splitlines() if "error" in line), ran.stderr.strip()[-200:])]

    return [line for found in in_parallel(one, names) for line in found]


PARTS = {"headers": headers, "cppcheck": cppcheck, "tidy": tidy}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    parser.add_argument("--only", default="", help="files whose path begins so")
    words = parser.parse_args()
    faults = 0
    for part in words.parts or PARTS:
        try:
            found = PARTS[part](os.path.abspath(words.build), words.only)
        except FileNotFoundError as missing:
            found = [f"{missing.filename} is missing"]
        for fault in found:
            print(fault, flush=True)
        print(f"lint: {part}: {len(found)} findings", flush=True)
        faults += len(found)
    sys.exit(1 if faults else 0)
