# SPDX-License-Identifier: Apache-2.0
"""src/web/pack, the tool of the build that makes one script of modules: what comes out does what went in, and what it can't do it refuses."""
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import zlib

import pytest

from conftest import npm_modules
from rcgateway import BINARY, ROOT
from rcscript import Script

pytestmark = pytest.mark.one_shard

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
PAGE = '<!doctype html>\n<title>t</title> <!-- gone -->\n  <link rel="stylesheet" href="style.css">\n<script type="module" src="main.js"></script>\n'

# Each line is something that a lexer may misread, or that a renamer may confuse. It prints what it reckons.
OTHER = r'''
export const half = (number) => number / 2 / 1; // a comment / with slashes
export function* count(upto) { for (let step = 0; step < upto; step++) yield step; }
export async function later(value) { await null; return value; }
export class Base {
	#hidden = 1;
	static made = 0;
	shown
	other = "x"
	constructor(hidden, { shown = 7, deep: { inner } = { inner: 5 }, ...rest } = {}) {
		this.#hidden = hidden;
		this.shown = shown;
		this.inner = inner;
		this.rest = rest;
		Base.made++;
	}
	get hidden() { return this.#hidden; }
	set hidden(hidden) { this.#hidden = hidden; }
	static has(object) { return #hidden in object; }
	async *walk(count) { for (let index = 0; index < count; index++) yield index; }
	["computed" + 1](value) { return value; }
}
'''
MAIN = r'''
import { half, count, later,
	Base } from "./other.js";

const out = [];
function say(name, value) { out.push({ name, value, half: half(value?.length ?? 4), say: "say" }); }
export const result = async (options = { prefix: "p" }, ...others) => {
	const { prefix, missing = "none", nested: { value: renamed } = { value: 3 } } = options;
	const [first, , third = "3rd", ...tail] = others;
	const label = prefix ? missing : renamed;
	say("label", label);
	say("regex", "a/b//c".replace(/[/]+/g, "|") + "x".replace(/"/, '') + (8 / 2 / half(4)) + /[`'"]{1}/.test("`"));
	say("template", `a${half(2)}b${`c${{ prefix }.prefix}d`}e${[1, 2].map((value) => `<${value}>`).join("")}` + `\`${"}"}`);
	say(`tagged`, String.raw`\n${prefix}`);
	let total = 0
	for (const step of count(4)) total += step
	++total
	outer: for (const index of [1, 2, 3]) { for (const inner of [1, 2, 3]) { if (inner == 2) continue outer; total += index; } }
	say("total", String(total));
	const base = new Base(3, { shown: undefined, third, extra: { prefix } });
	base.hidden += +1 - -1;
	const object = { base, "quoted": 1, total, say(value) { return value + total; }, get label() { return label; }, async later() { return later(total); },
		third: first ? third : tail, [prefix]: label, count };
	say("object", JSON.stringify({ ...object, sum: object.say(1), later: await object.later() }));
	say("keys", Object.keys(object).join());
	try { null.property; } catch ({ message: text, name }) { say(name, typeof text); }
	switch (total) { case third: say("never", total); break; default: { const value = "in a case"; say("case", value); } }
	const steps = []; for await (const step of base.walk(3)) steps.push(step);
	say("in", String([Base.has(base), Base.has({}), "hidden" in base, base.computed1(9), Base.made, steps, base.rest, base.inner, base.other, base.shown]));
	if (total) say("if", "(" + -total + ")"); else say("else", "");
	const arrow = ({ prefix: name } = { prefix: "q" }, [second] = ["s"]) => ({ name, second, total: total ? name : second });
	say("arrow", JSON.stringify([arrow(), arrow({ prefix }, tail)]));
	var old = function named(value) { return value ? named(value - 1) + value : 0; };
	say("named", "" + old(3) + (() => { return typeof old })());
	do total--; while (total > 3)
	say("while", "" + total);
	return JSON.stringify(out);
};
'''


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    tool = str(tmp_path_factory.mktemp("pack") / "pack")
    sources = os.path.join(ROOT, "src/web/pack")
    # It gives nothing back before it ends.
    subprocess.run([compiler, "-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-o", tool]
                   + [os.path.join(sources, f) for f in os.listdir(sources) if f.endswith(".c")] + ["-lz", "-lcrypto"], check=True)
    return tool


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


class Tree:
    def __init__(self, folder):
        self.folder = folder
        for name in ("client", "dashboard", "out"):
            (folder / name).mkdir()
        self.put("client/ringcast.js", "export const version = 1;")
        self.put("client/react.js", 'import { version } from "./ringcast.js";\nimport { useState } from "react";\nexport const n = () => useState(version);')
        self.put("client/ringcast.d.ts", "export const version: number;")
        self.put("dashboard/index.html", PAGE, spdx=False)
        self.put("dashboard/style.css", '/* c */ a , b > c { color : red ; content: "x  /* y */" }\n@media (min-width: 1px) { d e { margin: 0 auto } }', spdx=False)
        self.put("dashboard/main.js", 'import { version } from "../client/ringcast.js";\ndocument.title = version;')

    def put(self, name, text, spdx=True):
        (self.folder / name).write_text((SPDX if spdx else "") + text)

    def tricky(self):
        self.client(MAIN)
        self.put("client/other.js", OTHER)

    def client(self, text):
        """Of which the dashboard wants nothing."""
        self.put("client/ringcast.js", text)
        self.put("dashboard/main.js", "document.title = 1;")

    def read(self, name):
        return (self.folder / "out" / name).read_text()

    def run(self, pack):
        return subprocess.run([pack, str(self.folder), str(self.folder / "out")], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})

    def made(self, pack):
        r = self.run(pack)
        assert r.returncode == 0, r.stderr
        return r.stdout

    def node(self, script):
        node = shutil.which("node") or pytest.skip("node is not installed")
        (self.folder / "package.json").write_text('{"type":"module"}')
        (self.folder / "try.js").write_text(script)
        r = subprocess.run([node, "try.js"], cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        return r.stdout


def test_what_comes_out_does_what_went_in(pack, tree):
    tree.tricky()
    tree.made(pack)
    for name in ("client/ringcast.js", "out/ringcast.js", "out/ringcast.classic.js"):
        what = "{ result: globalThis.ringcast.result }" if "classic" in name else f'await import("./{name}")'
        load = f'await import("./{name}"); ' if "classic" in name else ""
        said = tree.node(f'{load}const {{ result }} = {what};\nconsole.log(await result({{ prefix: "r" }}, 1, 2, undefined, ["t"]), await result());')
        if name.startswith("client"):
            wanted = said
        assert said == wanted, name
    assert "say" in wanted and len(wanted) > 1000


def test_it_becomes_small(pack, tree):
    tree.tricky()
    tree.made(pack)
    made = tree.read("ringcast.js")
    assert len(made) < 0.7 * len(MAIN + OTHER)
    assert "comment" not in made and "SPDX" not in made and "#hidden" not in made and "import" not in made
    assert re.search(r"export\{\w+ as result\};", made)
    assert tree.read("ringcast-react.js").startswith('import{version}from"./ringcast.js";import{useState}from"react";export const n=')


def test_what_says_nothing_goes_and_what_says_something_stays(pack, tree):
    tree.put("client/other.js", "export const half = 1;")
    tree.put("client/ringcast.js", """
export const version = 1;
export const result = async (one) => {
    const holes = [, one, , ];
    const numbers = [1000, 30000, 120, 1e21, 0x1000, 1000 .toFixed(1), 1000.0, 10001000,];
    const f = (x) => x, g = async (x) => { await x; return; }, h = ({ x, }) => x, k = (x = 1000) => x, l = (x) => (y) => x + y;
    for (;;) { if (one) { break; } continue; }
    return JSON.stringify([holes.length, numbers, f(1,), await g(2), h({ x: 3, },), k(), l(1)(2), { 1000: 4, }]);
};
""")
    tree.made(pack)
    made = tree.read("ringcast.js")
    assert not re.search(r",[)}]|;}|\(\w+\)=>", made) and "async " in made and "1e4" not in made and made.count("1e3") == 4, made
    said = [tree.node(f'const {{ result }} = await import("./{name}"); console.log(await result(1));') for name in ("client/ringcast.js", "out/ringcast.js")]
    assert said[0] == said[1] == '[3,[1000,30000,120,1e+21,4096,"1000.0",1000,10001000],1,null,3,1000,3,{"1000":4}]\n'


def test_the_page_holds_all_and_its_policy_has_the_hashes(pack, tree):
    tree.made(pack)
    page, source = tree.read("index.html"), tree.read("assets.c")
    style, script = re.search("<style>(.*)</style>", page)[1], re.search('<script type="module">(.*?)</script>', page, re.S)[1]
    assert style == 'a,b > c{color : red;content: "x  /* y */"}@media (min-width: 1px){d e{margin: 0 auto}}'
    assert "gone" not in page and "main.js" not in page and "document.title=" in script
    for kind, text in (("style", style), ("script", script)):
        assert f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in source
    assert zlib.decompress((tree.folder / "out/index.html.gz").read_bytes(), 31).decode() == page


def test_the_same_sources_give_the_same_bytes(pack, tree):
    tree.made(pack)
    first = {p.name: p.read_bytes() for p in (tree.folder / "out").iterdir()}
    tree.made(pack)
    assert first == {p.name: p.read_bytes() for p in (tree.folder / "out").iterdir()}


@pytest.mark.parametrize("name,text,why", [
    ("client/ringcast.js", 'import { gone } from "./other.js";', "does not export gone"),
    ("client/ringcast.js", 'import { half } from "./missing.js";', "missing.js"),
    ("client/ringcast.js", 'import half from "./other.js";', "imports are written"),
    ("client/ringcast.js", 'import { half as h } from "./other.js";', "imports are written"),
    ("client/ringcast.js", 'import { half } from "other";', "imports are written"),
    ("client/ringcast.js", 'import { half } from "./other.js";\nconst half = 1;', "name of another module"),
    ("client/ringcast.js", 'import { half } from "./other.js";\nexport default half;', "exports are written"),
    ("client/ringcast.js", "export const { a, b } = c;", "one by one"),
    ("client/ringcast.js", "const a = 'x;", ":2: a string without an end"),
    ("client/ringcast.js", "const a = `x${1};", "a template without an end"),
    ("client/ringcast.js", "const a = `x;", "a template without an end"),
    ("client/ringcast.js", "const a = /x;", "a regular expression without an end"),
    ("client/ringcast.js", "const a = (1", ":2: a bracket without an end"),
    ("client/ringcast.js", "const a = (1;", ":2: ; stands within brackets"),
    ("client/ringcast.js", "const a = (1];", ":2: ] closes another bracket"),
    ("client/ringcast.js", "const a = 1);", "a bracket too many"),
    ("client/ringcast.js", "/* a", "a comment without an end"),
    ("client/other.js", 'import { version } from "./ringcast.js";\nexport const half = version;', "imports itself"),
    ("dashboard/index.html", "<p>nothing</p>", "must have this once"),
    ("dashboard/index.html", PAGE + PAGE, "must have this once"),
    ("dashboard/style.css", "/* a", "a comment without an end"),
    ("dashboard/style.css", "a {\n content: 'x }\n", ":2: a string without an end"),
    ("dashboard/style.css", "a {}\n.\\31 { }", ":2: a \\ outside of a string"),
    ("dashboard/main.js", 'document.title = "</script>";', "would end too early"),
    # What can't be read for certain.
    ("client/ringcast.js", "const f = () => { return 1; } const g = 1;", ":2: const follows a value: an operator or a semicolon is missing"),
    ("client/ringcast.js", "const f = 1;\nf() { }", ":3: { follows a value"),
    ("client/ringcast.js", "const f = (1\n2);", ":3: 2 follows a value within brackets"),
    ("client/ringcast.js", "const f = () => {}\n/x/.test(1);", ":3: a slash of which can't be told whether it divides"),
    ("client/ringcast.js", "const f = class extends {} { };", ":2: { comes too early"),
    ("client/ringcast.js", "const f = { a: 1 b: 2 };", ":2: b follows a value"),
    ("client/ringcast.js", "const f = 1\n  + 2", ":3: the last statement has no semicolon"),
    ("client/ringcast.js", "with (1) { }", ":2: with is not for modules"),
    ("client/ringcast.js", "eval('1');", ":2: eval would not know"),
    ("client/ringcast.js", "const f = 1px;", ":2: a number runs into a name"),
    ("client/ringcast.js", "const \u00e9 = 1;", ":2: only strings and comments"),
    ("client/ringcast.js", "const \\u0061 = 1;", ":2: nothing is known of a \\ here"),
    ("client/ringcast.js", "@a class B { }", ":2: nothing is known of a @ here"),
    # Names that would be others'.
    ("client/ringcast.js", "export const a = 1, b = 2;", ":2: outermost names are declared one by one"),
    ("client/ringcast.js", "let a,\n\tb;", ":2: outermost names are declared one by one"),
    ("client/ringcast.js", "if (1) { var a = 1; }", ":2: a var within an outermost statement"),
    ("client/ringcast.js", 'import { other } from "./other.js";\nconst f = other;\nf(half);', ":4: half is a name of another module, and not imported here"),
    ("client/ringcast.js", 'const f = { ["_own"]: 1 };', ':2: "_own" may be the name of a field'),
    ("client/ringcast.js", "const f = { __proto__: null };", ":2: __proto__: what begins with two underlines"),
])
def test_what_it_cannot_do_it_refuses(pack, tree, name, text, why):
    tree.put("client/other.js", "export const half = 1;\nexport const other = 2;")
    if name == "client/other.js":
        tree.put("client/ringcast.js", 'import { half } from "./other.js";\nexport const version = half;')
    if name == "client/ringcast.js":
        tree.client(text)
    else:
        tree.put(name, text, spdx=name.endswith(".js"))
    r = tree.run(pack)
    assert r.returncode == 1 and why in r.stderr, (r.returncode, r.stderr)


# Pairs of what is written and what must be in what comes out, of which the renamer leaves all as it is.
@pytest.mark.parametrize("text,made", [
    ("say({ throw() { throw { at: 1, message: 2 }; } });", "throw{at:1,message:2}"),
    ("const f = () => { return 1; }\nsay(f());", "}\nsay("),
    ("say(class { f = () => { return 1; }\nrun() { } });", "}\nrun("),
    ("if (say) { say(1); }\nsay(2);", "}say(2)"),
    ("function f() { return\n.5; }", "return\n.5"),
    ("if (say) /value  x/.test(say);", "if(say)/value  x/.test(say)"),
    ("{ say(1); }\n/a  b/.test(say);", "}/a  b/.test(say)"),
    ("say((1) / 2 / say);", "(1)/2/say"),
    ("say(1 .toFixed());", "1 .toFixed()"),
    ("say(1\n.toFixed());", "1 .toFixed()"),
    ("say(1.5 .toFixed());", "1.5.toFixed()"),
    ("say(say < !--say);", "say< !--say"),
    ("say(true.toString(), true);", "true.toString(),!0"),
    ("say(((Map) => Map)(1), new Map());", "(Map=>Map)(1),new Map()"),
    ("for (const window of say()) say(window);\nwindow.say();", ";window.say()"),
])
def test_what_is_hard_to_read_is_read_right(pack, tree, text, made):
    tree.client(text)
    tree.made(pack)
    assert made in re.sub(r"\s$", "", tree.read("ringcast.js")), tree.read("ringcast.js")


def test_a_style_keeps_its_strings_and_what_comments_keep_apart(pack, tree):
    tree.put("dashboard/style.css", 'a/**/b { content: "x\\"  /* y */" } c/**/ d { e: f /* g */ h }', spdx=False)
    tree.made(pack)
    assert re.search("<style>(.*)</style>", tree.read("index.html"))[1] == 'a/**/b{content: "x\\"  /* y */"}c d{e: f h}'


def test_an_arrow_with_an_object_in_its_body_ends_behind_it(pack, tree):
    """Names are told apart within a statement: a brace that ends none must not make two of it."""
    tree.client("const other = 1;\nexport const result = (value) => value ? { value } : other;")
    tree.made(pack)
    assert tree.node('import { result } from "./out/ringcast.js";\nconsole.log(result(0));').strip() == "1"


def test_what_is_shipped_is_what_was_written_but_for_the_names():
    """Their trees are the same, properties and free names too, and what is declared has one new name for each: js/packed.cjs."""
    modules = npm_modules("acorn", 8)
    npm_modules("eslint-scope", 8)
    for form, source, made in (("module", "client/ringcast.js", "ringcast.js"), ("classic", "client/ringcast.js", "ringcast.classic.js"),
                               ("plain", "client/react.js", "ringcast-react.js"), ("page", "dashboard/main.js", "index.html")):
        r = subprocess.run(["node", "tests/e2e/js/packed.cjs", modules, form, f"src/web/{source}", os.path.join(os.path.dirname(BINARY), "web", made)],
                           cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert r.returncode == 0, f"{made}: {r.stdout}{r.stderr}"
        assert re.search(r"^[1-9]\d{3,} nodes, [1-9]\d+ variables, 0 differ$", r.stdout, re.M), f"{made}: {r.stdout}"


EVALUATE = """
import fs from "node:fs";
Function.prototype.toString = () => "f";  // it would show the new names, and so do fields in JSON
const run = async (file) => {
	try { return (await (await import(file)).result()).replace(/_\\w*/g, "_"); } catch (e) { return `throws ${e?.constructor?.name}`; }
};
const out = [];
for (let n = 0; fs.existsSync(`./written${n}.js`); n++)
	out.push([await run(`./written${n}.js`), fs.existsSync(`./packed${n}.js`) ? await run(`./packed${n}.js`) : null]);
console.log(JSON.stringify(out));
"""


def test_scripts_by_chance_do_the_same_packed_or_are_refused(pack, tree):
    count, refused = 80, {}
    for n in range(count):
        text = Script(n).text()
        tree.client(text)
        shutil.copy(tree.folder / "client/ringcast.js", tree.folder / f"written{n}.js")
        r = tree.run(pack)
        assert r.returncode in (0, 1) and "Sanitizer" not in r.stderr, f"seed {n}: {r.stderr}"
        if r.returncode:
            assert re.search(r"client/ringcast\.js:\d+: ", r.stderr), f"seed {n}: {r.stderr}"
            refused[n] = r.stderr
        else:
            shutil.copy(tree.folder / "out/ringcast.js", tree.folder / f"packed{n}.js")
    results = json.loads(tree.node(EVALUATE))
    assert len(results) == count
    for n, (written, packed) in enumerate(results):
        assert packed == (None if n in refused else written), f"seed {n}"
    # What is refused is no JavaScript, of which the grammar makes a little; and most of it says something.
    assert all(results[n][0] == "throws SyntaxError" for n in refused), refused
    assert len(refused) < count / 10 and sum(len(written) > 30 for written, _ in results) > count / 2


def test_a_client_that_has_become_too_large_is_told_of(pack, tree):
    tree.put("client/ringcast.js", "export const version = \"" + base64.b64encode(os.urandom(9000)).decode() + "\";")
    r = tree.run(pack)
    assert r.returncode == 0 and "ringcast.js: " in r.stderr and "more than the 8192" in r.stderr
