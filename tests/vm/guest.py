# SPDX-License-Identifier: Apache-2.0
"""Inside the guest: runs what plan.json lists, in that order, and writes a line of JSON for each program or file of tests.

The line carries what scripts/test keeps of a result, so that the host shows it and counts it as its own. What else is printed is shown
as it comes.
"""
import importlib.machinery
import importlib.util
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def scripts_test():
    loader = importlib.machinery.SourceFileLoader("scripts_test", os.path.join(ROOT, "scripts/test"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("scripts_test", loader))
    loader.exec_module(module)
    return module


def tell(**line):
    print(json.dumps(line), flush=True)


def hand_over(result):
    tell(result={k: getattr(result, k) for k in ("name", "passed", "failed", "skipped", "output", "seconds", "notes")})
    return result


def tls_counters():
    """What the kernel's TLS has done since it was loaded; empty when there is none."""
    try:
        with open("/proc/net/tls_stat") as f:
            return {name: int(value) for name, value in (line.split() for line in f if line.strip())}
    except FileNotFoundError:
        return {}


def tls_was_used(test, before, after):
    """The proof that it was the kernel: its own counters."""
    r = test.Result("the kernel's TLS counters")
    changed = {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)}
    r.notes = [f"{k}: {before.get(k, 0)} -> {after[k]}" for k in sorted(changed)] or ["nothing changed"]
    for name in ("TlsTxSw", "TlsRxSw"):
        if changed.get(name, 0) > 0:
            r.passed += 1
        else:
            r.failed += 1
            r.output += f"{name} has not grown: no connection was the kernel's in that direction\n"
    return r


def end_to_end(test, part, forged):
    before = tls_counters().get("TlsDecryptError", 0)
    r = test.pytest_file(part["file"], part["shards"], part["env"], "e2e " + part["variant"], part["select"])
    found, most = tls_counters().get("TlsDecryptError", 0) - before, (forged or {}).get(os.path.basename(part["file"]), 0)
    if found > most:
        r.failed += 1
        r.output += f"\nThe kernel could not decipher {found} records; the tests send {most} of that kind.\n"
    elif found:
        r.notes.append(f"the kernel could not decipher {found} records, of {most} that are forged")
    return r


def main():
    os.chdir(ROOT)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    test = scripts_test()
    os.makedirs(test.LOGS, exist_ok=True)
    with open("plan.json") as f:
        plan = json.load(f)
    # The guest's own limit ends what does not end; this one only says which program it was.
    run = test.run
    test.run = lambda command, env=None, timeout=900: run(command, env, min(3 * timeout, plan["seconds"]))
    with open("/proc/uptime") as f:
        tell(note=f"kernel {os.uname().release}, {os.cpu_count()} CPUs, up after {f.read().split()[0]} s of its own time")
    before = tls_counters()
    if plan["forged"] is not None:
        # What would be skipped for want of it fails.
        os.environ["RINGCAST_TEST_KTLS"] = "1"
    for part in plan["parts"]:
        kind = part["kind"]
        if kind == "unit":
            hand_over(test.unit_program(part["variant"], part["program"], []))
        elif kind == "e2e":
            hand_over(end_to_end(test, part, plan["forged"]))
        else:
            status, output, seconds = test.run(part["command"], part.get("env"), part["seconds"])
            r = test.Result(part["name"], passed=int(status == 0), failed=int(status != 0), output=output, seconds=seconds,
                            notes=[line for line in output.splitlines() if line.startswith("= ")])
            hand_over(r)
    if plan["forged"] is not None:
        hand_over(tls_was_used(test, before, tls_counters()))
    tell(end=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
