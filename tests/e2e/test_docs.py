# SPDX-License-Identifier: Apache-2.0
"""What is said in writing, beside what the program says and does: the references and man pages that it makes of its own tables, and
the numbers, links and names in the chapters that are written by hand."""
import functools
import glob
import os
import re
import shutil
import subprocess

import pytest

import rcapi
import rccompile
import rcgateway
from deadline import SLOW

ROOT = rccompile.ROOT
REFERENCES = {"config": "src/config/REFERENCE.md", "counters": "src/ops/REFERENCE.md", "http": "src/serve/REFERENCE.md"}

pytestmark = [pytest.mark.one_shard, pytest.mark.deadline(120)]


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def say(*arguments, status=0, **options):
    done = subprocess.run([rcgateway.BINARY, *arguments], capture_output=True, text=True, timeout=30 * SLOW,
                          **{"stdin": subprocess.DEVNULL, "env": clean(), **options})
    assert done.returncode == status, (arguments, done.returncode, done.stderr)
    return done.stdout if status == 0 else done.stderr


def clean(**more):
    return {**{k: v for k, v in os.environ.items() if not k.startswith("RINGCAST_")}, **more}


def plain(text):
    """Of a page: as it is read, without the escapes."""
    for escape, char in (("\\-", "-"), ("\\(aq", "'"), ("\\(ga", "`"), ("\\(dq", '"'), ("\\(ha", "^"), ("\\(ti", "~"), ("\\fB", ""),
                         ("\\fR", ""), ("\\&", ""), ("\\e", "\\")):
        text = text.replace(escape, char)
    return text


@functools.lru_cache
def commands():
    return re.findall(r"^  ([a-z]+) +\S", say("--help"), re.M)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Each page by its name and section."""
    folder = str(tmp_path_factory.mktemp("man"))
    say("docs", "man", folder, env=clean(SOURCE_DATE_EPOCH="1767225600"))
    found = {}
    for path in glob.glob(os.path.join(folder, "man?", "*")):
        with open(path, encoding="utf-8") as f:
            found[os.path.basename(path)] = f.read()
        assert path.endswith(os.path.dirname(path)[-1])
    return found


def options():
    """(section, key, default) of each option, as --print-config has them."""
    section = None
    for line in say("serve", "--print-config").splitlines():
        if line.startswith("["):
            section = line[1:-1]
        elif m := re.match(r"(?:; )?([a-z_0-9]+) = (.*?) *(?:; default)?$", line):
            yield section, m.group(1), m.group(2).split("  ;")[0].strip()


# ---- what is made

@pytest.mark.parametrize("what", REFERENCES)
def test_what_is_committed_is_what_the_program_says(shards, what):
    assert read(REFERENCES[what]) == say("docs", what), f"{REFERENCES[what]} is not what the tables say; make it with: make docs"


def test_every_option_stands_in_the_references_with_its_default(shards, pages):
    markdown, page = say("docs", "config"), plain(pages["ringcast.conf.5"])
    listed = list(options())
    assert len(listed) > 150
    for section, key, default in listed:
        rows = markdown.partition(f"\n## [{section}]\n")[2].partition("\n## ")[0]
        row, = re.findall(rf"^\| `{key}`.*$", rows, re.M)
        assert row.split(" | ")[1] in (f"`{default}`", "none" if not default else ""), (row, default)
        part = page.partition(f'\n.SS "[{section}]"\n')[2].partition("\n.SS ")[0]
        assert f"\n.TP\n{key} = {default}".rstrip() + "\n" in part.replace(" \n", "\n"), (section, key, default)
    assert len(re.findall(r"^\| `", markdown.partition("## Other names")[0], re.M)) == len(listed)


def test_every_counter_stands_in_the_references(shards, pages):
    names = re.findall(r"^RC_COUNTER(?:_HIST)?\(\s*([a-z_0-9]+)", read("src/ops/counters_list.h"), re.M)
    assert len(names) > 200
    markdown, page = say("docs", "counters"), plain(pages["ringcast-counters.7"])
    assert re.findall(r"^\| `([a-z_0-9]+)` \| `ringcast_", markdown, re.M) == names
    assert re.findall(r"^\.TP\n([a-z_0-9]+)$", page.partition(".SH \"BY NAMESPACE\"")[0], re.M) == names


def test_the_names_of_metrics_are_those_of_metrics(gateway):
    """Every family that the reference names is there, under that name and with that label."""
    metrics = rcapi.get(gateway(), "/metrics").text
    said = say("docs", "counters")
    for name, kind in re.findall(r"^\| `[a-z_0-9]+` \| `(ringcast_\S+)` \| \S+ \| ([a-z ]+) \|", said, re.M):
        family, _, label = name.partition("{")
        label = label.rstrip("}")
        lines = [line for line in metrics.splitlines() if line.startswith(family + ("_count" if kind == "histogram" else "") + "{")]
        assert lines and any(label in line for line in lines), name


def test_each_subcommand_has_a_page_with_what_its_help_says(shards, pages):
    assert {f"ringcast-{name}.1" for name in commands()} | {"ringcast.1", "ringcast.conf.5", "ringcast-counters.7"} == set(pages)
    for name in commands():
        page, help_text = plain(pages[f"ringcast-{name}.1"]), say(name, "--help").partition("\n[server]\n")[0]
        flags = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", help_text))
        assert flags, name
        for flag in flags:
            assert re.search(rf"(?<![\w-]){flag}(?![\w-])", page), (name, flag)
        words, there = help_text.split(), page.split()
        assert not [w for w in words if w not in there and w not in ("usage:", "Status:", "Flags") and name != "serve"], name
        about, = re.findall(rf"^  {name} +(.*)$", say("--help"), re.M)
        assert f".SH NAME\nringcast-{name} - {about}\n" in page
        assert f"\n{name}\n" in plain(pages["ringcast.1"]) and f"\nringcast-{name}\n(1),\n" in plain(pages["ringcast.1"])


def lint():
    if shutil.which("mandoc"):
        return [["mandoc", "-T", "lint", "-W", "warning"]]
    return []


def test_the_pages_are_clean(shards, pages, folder):
    tools = lint()
    if shutil.which("groff"):
        tools.append(["groff", "-man", "-ww", "-z", "-Tutf8"])
    if not tools:
        pytest.skip("neither mandoc nor groff is installed")
    for name, text in pages.items():
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        for tool in tools:
            done = subprocess.run([*tool, path], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0 and not done.stdout and not done.stderr, (tool, done.stdout, done.stderr)


def test_the_date_of_a_page_is_the_one_that_is_given(shards, pages):
    assert all(" 2026-01-01 " in text.splitlines()[0] for text in pages.values())
    for wrong in ("", "x", "-1", "999999999999999"):
        assert re.search(r'^\.TH "X" 1 \d{4}-\d\d-\d\d ', say("docs", "page", "x", "y", env=clean(SOURCE_DATE_EPOCH=wrong)), re.M)


def test_a_page_of_another_program(shards, folder):
    load = os.path.join(os.path.dirname(rcgateway.BINARY), "ringcast-load")
    if not os.path.exists(load):
        pytest.skip("ringcast-load is not built")
    text = subprocess.run([load, "--help"], capture_output=True, text=True, timeout=30).stdout
    page = say("docs", "page", "ringcast-load", "measure a realtime gateway", input=text, stdin=None)
    assert ".SH NAME\nringcast\\-load \\- measure a realtime gateway\n" in page
    for flag in set(re.findall(r"^  (--[a-z-]+)", text, re.M)):
        assert re.search(rf"^\.TP\n{flag}\b", plain(page), re.M), flag


def test_what_docs_refuses(shards, folder):
    for wrong in ([], ["x"], ["man"], ["man", "a", "b"], ["config", "x"], ["page", "x"], ["--nothing"]):
        assert "says what they are" in say("docs", *wrong, status=2)
    with open(os.path.join(folder, "file"), "w"):
        pass
    assert "file/man1: Not a directory" in say("docs", "man", os.path.join(folder, "file"), status=1)
    assert "No such file" in say("docs", "man", os.path.join(folder, "none", "below"), status=1)
    assert "File too large" in say("docs", "page", "x", "y", status=1, input="x" * (300 << 10), stdin=None)
    with open("/dev/full", "w") as full:
        assert subprocess.run([rcgateway.BINARY, "docs", "config"], stdout=full, stderr=subprocess.DEVNULL, timeout=30).returncode == 1


# ---- what is written

@functools.lru_cache
def chapters():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True,
                            text=True) if shutil.which("git") else None
    if listed and listed.returncode == 0:
        return [name for name in listed.stdout.split("\0") if name and os.path.exists(os.path.join(ROOT, name))]
    return [os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(ROOT, "**", "*.md"), recursive=True) if "/build/" not in p]


def anchors(text):
    """Of its headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    found = []
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.append(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


@pytest.mark.parametrize("name", chapters())
def test_links_lead_somewhere(shards, name):
    text = re.sub(r"^```.*?^```$", "", read(name), flags=re.M | re.S)
    text = re.sub(r"`[^`\n]*`", "", text)
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path = os.path.normpath(os.path.join(os.path.dirname(name), target)) if target else name
        assert os.path.exists(os.path.join(ROOT, path)), (target, name)
        if anchor and path.endswith(".md"):
            assert anchor in anchors(read(path)), f"{target}#{anchor}"


@pytest.mark.parametrize("name", chapters())
def test_each_target_of_make_that_is_named_exists(shards, name):
    targets = set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.M))
    # In code, or at the beginning of a line of it; "make do" of a sentence is none.
    named = set(re.findall(r"`make ([a-z][a-z-]+)", read(name)) + re.findall(r"^(?:    |sudo )?make ([a-z][a-z-]+)", read(name), re.M))
    assert named <= targets, named - targets


@pytest.mark.parametrize("name", chapters())
def test_each_file_of_the_tree_that_is_named_exists(shards, name):
    """In code marks, as a path from the root or from the chapter's own folder."""
    for path in re.findall(r"`((?:src|tests|bench|scripts|tuning|include)/[A-Za-z0-9_./-]+)`", read(name)):
        assert "NAME" in path or os.path.exists(os.path.join(ROOT, path)), path


def test_the_files_and_names_of_the_architecture_exist(shards):
    text = read("src/README.md")
    for path in re.findall(r"`((?:[a-z]+/)?[a-z0-9_]+\.[ch])`", text):
        found = glob.glob(os.path.join(ROOT, "src", path)) or glob.glob(os.path.join(ROOT, "src", "*", path))
        assert found, path
    sources = "\n".join(read(os.path.relpath(p, ROOT)) for p in glob.glob(os.path.join(ROOT, "src", "*", "*.[ch]")))
    for name in set(re.findall(r"`(?:struct |enum )?((?:rc|RC)_[A-Za-z0-9_]+)(?:\(\))?`", text)):
        assert re.search(rf"\b{name}\b", sources), name


def test_the_house_is_that_of_the_check(shards):
    """What each folder may include, as src/README.md draws it and as scripts/check holds it."""
    below = dict(re.findall(r'^    "([a-z]+)": \[([^]]*)\],$', read("scripts/check"), re.M))
    known = {folder: set(re.findall(r'"([a-z]+)"', others)) for folder, others in below.items()}
    drawn = {folder: set(others.split()) for folder, others in re.findall(r"^    ([a-z]+) *─▶((?: [a-z]+)*)$", read("src/README.md"), re.M)}
    assert drawn == {folder: others for folder, others in known.items() if folder != "base"}
    listed = re.findall(r"^    (?:main\.c, )?([a-z]+)/ ", read("src/README.md").partition("\nWhat each may include")[0], re.M)
    assert set(listed) == set(known)


def macros(prefix):
    """The codes of wire.h with that prefix, without boundaries."""
    found = re.findall(rf"^#define RINGCAST_{prefix}_([A-Z_]+)\s+(?:\\\s+)?(\d+)\b([^\n]*)", read("include/ringcast/wire.h"), re.M)
    assert found
    return {int(number) for _, number, rest in found if "the boundary, not a code" not in rest}


def table(heading):
    """The numbers in the first column of the table below this head, in the chapter of the wire."""
    wire = read("src/proto/README.md")
    rows = wire.partition(f"\n| {heading} | |")[2].partition("\n\n")[0]
    assert rows, heading
    return {int(n) for n in re.findall(r"^\| (\d+) ", rows, re.M)}


@pytest.mark.parametrize("code", ["NACK", "BYE"])
def test_the_codes_of_the_wire_are_those_of_the_header(shards, code):
    assert macros(code) == table(code)


def test_the_types_of_frames_are_those_of_the_header(shards):
    known = dict(re.findall(r"^#define RINGCAST_FRAME_([A-Z]+)\s+(\d+)", read("include/ringcast/wire.h"), re.M))
    rows = read("src/proto/README.md").partition("\n| type | number | from | flags |\n")[2].partition("\n\n")[0]
    said = {}
    for names, numbers in re.findall(r"^\| ([A-Z, ]+) \| ([\d, ]+) \|", rows, re.M):
        said.update(zip(names.split(", "), numbers.split(", ")))
    assert said == known


def test_the_verdicts_are_those_of_the_header(shards):
    rows = read("src/proto/README.md").partition("\n| verdict | |\n")[2].partition("\n\n")[0]
    said = {int(n) for cell in re.findall(r"^\| ([\d, ]+) \|", rows, re.M) for n in cell.split(", ")}
    assert said == macros("VERDICT")


def test_the_errors_of_the_wire_are_those_of_the_header(shards):
    """From 110 on they are said to clients of the binary protocol, in the table of what is wrong there."""
    assert {n for n in macros("ERROR") if n < 110} == table("ERROR")
    section = read("src/proto/README.md").partition("\n## The binary protocol of clients\n")[2]
    said = {int(n) for numbers in re.findall(r"ERROR ((?:\d+(?:, )?)+)", section) for n in numbers.split(", ") if n}
    assert {n for n in macros("ERROR") if n >= 110} <= said


def test_the_paths_of_the_wire_are_those_of_the_routes(shards):
    wire = read("src/proto/README.md")
    for path, method, scope in re.findall(r"^\| `(\S+)` \| ([A-Z]+) \| (`?\w+`?)", say("docs", "http"), re.M):
        assert path.rstrip("*") in wire, path
        if scope != "none":
            assert f"\n| {scope} " in wire, scope
