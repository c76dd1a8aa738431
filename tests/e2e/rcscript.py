# SPDX-License-Identifier: Apache-2.0
"""Small JavaScript modules from a grammar, of a seed: what a tool that reads scripts may misread, every value behind every operator, and the same few names everywhere. Each exports result(), which says what it reckoned."""
import random

# Declared, and globals, keys, properties and labels as well. Not `name` and `message`: of functions and errors they tell the names.
NAMES = ["a", "key", "self", "Map", "Math", "of", "get", "set", "value", "window", "reason", "n", "e", "t", "_own"]
UNARY = ["!", "+", "-", "~", "typeof ", "void ", "delete ", "!!", "- -", "+ +", "typeof\n"]
BINARY = ["+", " + +", " - -", "*", "/", " / ", "%", "<", ">", "<=", "&&", "||", "??", "==", "!==", "**", "&", "|", "^", "<<", ">>", ">>>", ",", " in ", "\n+ ", "\n* "]
PRELUDE = 'const said = [];\nconst say = (what) => { said.push(typeof what === "function" ? "f" : typeof what === "bigint" || typeof what === "symbol" ? "other" : what); return what; };\n'


class Script:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.seen = [["say"], []]

    def pick(self, *what):
        return self.r.choice(what)

    def fresh(self):
        """A name that this block may still declare."""
        left = [n for n in NAMES if n not in self.seen[-1] and n not in self.seen[-2]]
        return self.r.choice(left) if left else None

    def known(self):
        return self.r.choice([n for names in self.seen for n in names] + ["Math", "Map", "undefined"])

    # ---- values

    def value(self, depth):
        if depth <= 0:
            return self.pick("1", "0", '"text"', "2.5", ".5", "1e3", "0x1f", "true", "false", "null", self.known(), "`plain`", "/[/]{1}\\/}/.test(\"x\")", "/=/g.source")
        return getattr(self, self.pick("unary", "binary", "object", "object", "member", "array", "template", "arrow", "named", "klass", "question", "regex", "division",
                                       "number", "throwing", "later", "parens", "optional", "generator"))(depth - 1)

    def unary(self, d):
        return "(" + self.pick(*UNARY) + self.pick(self.value(d), self.object(d), self.object(d), self.member(d)) + ")"

    def binary(self, d):
        left, right = self.pick(self.value(d), self.object(d)), self.pick(self.value(d), self.object(d), "/x/")
        op = self.pick(*BINARY)
        if op == " in ":
            return f'("{self.pick(*NAMES).strip("_")}" in {self.object(d)})'
        return f"(({left}){op} {right})" if op == "**" else f"({left}{op} {right})"

    def object(self, d):
        members = []
        for _ in range(self.r.randrange(4)):
            name, bound = self.pick(*NAMES), self.known()
            members.append(self.pick(
                lambda: f"{name}: {self.value(d)}", lambda: f'"{name.strip("_")}": {self.value(d)}', lambda: f"[{self.value(0)}]: {self.value(d)}",
                lambda: bound if bound not in ("undefined",) else "...null", lambda: f"get {name}() {self.body(d)}",
                lambda: f"{name}({self.pick(*NAMES)}) {self.body(d)}", lambda: f"async {name}() {self.body(d)}", lambda: f"*{name}() {self.body(d)}",
                lambda: f"...{self.object(d)}", lambda: f"{self.pick('if', 'class', 'return', 'true', 'const')}: {self.value(d)}")())
        return "{" + self.pick("", " ", "\n") + ", ".join(members) + self.pick("", ",")[:len(members)] + "}"

    def member(self, d):
        return f"({self.object(d)}).{self.pick(*NAMES)}" if self.r.random() < 0.5 else f"[{self.value(d)}][{self.value(0)}]"

    def array(self, d):
        return f"[{self.value(d)}, {self.object(d)}, ...[{self.value(d)}]]"

    def template(self, d):
        return f"`a${{typeof {self.value(d)}}}b}}${{{self.object(d)}.{self.pick(*NAMES)} ? `c${{1}}` : \"`\"}}\\``"

    def within(self, names, make):
        self.seen.append(list(names))
        made = make()
        self.seen.pop()
        return made

    def pattern(self, d):
        one, two, three = self.r.sample(NAMES, 3)
        return self.pick((one, [one]), (f"{{ {one}, {two}: {three} = {self.value(0)}, ...{two} }} = {{}}", [one, two, three]), (f"[{one}, , {two} = {self.value(0)}, ...{three}] = []", [one, two, three]),
                         (f"{one} = {self.value(0)}, ...{two}", [one, two]))

    def arrow(self, d):
        text, names = self.pattern(d)
        body = self.within(names, lambda: self.plainly(lambda: self.pick(self.body(d), f"({self.object(d)})", self.value(d))))
        single = text in NAMES and self.r.random() < 0.5
        return f"({text if single else f'({text})'} => {body})({self.value(d)})"

    def named(self, d):
        name = self.pick(*NAMES)
        text, names = self.pattern(d)
        return f"(function {name}({text}) {self.within([name, *names], lambda: self.body(d))})({self.value(d)})"

    def klass(self, d):
        return self.plainly(lambda: self.klass_alone(d))

    def klass_alone(self, d):
        name = self.pick(*NAMES)
        made = [f"{self.pick('', 'static ')}{self.pick('a', 'key', 'of', 'self', '_own')}{self.pick('', f' = {self.value(0)}', f' = {self.object(d)}', ' = () => { return 1; }', ' = (x) => x ? {} : Map')}{self.pick(';', chr(10))}",
                f"{self.pick('', 'static ', 'get ', 'async ', '*', 'static async *')}{self.pick('m', 'get', 'set', 'of', 'static')}() {self.body(d)}", f';["c" + {self.r.randrange(9)}]() {self.body(d)}', "#hidden = 1; has(o) { return #hidden in o; }",
                f"static {{ say({self.value(0)}); }}"]
        made = [m for m in self.r.sample(made, 4)]
        return f"say(new (class {name} {self.pick('', 'extends Map ', 'extends (class {}) ')}{{\n{chr(10).join(made)}\n}})().{self.pick(*NAMES, 'm')})"

    def question(self, d):
        return f"({self.value(d)} ? {self.pick(self.object(d), self.value(d))} : {self.pick(self.object(d), self.value(d), '.5')})" if self.r.random() < 0.7 else f"({self.value(0)} ?.5:{self.object(d)})"

    def regex(self, d):
        return self.pick(f"/a/g.test({self.value(d)})", f'"a/b//c".replace(/[/]+/g, {self.value(0)})', f"(({self.value(0)}) / 2 / /2/.source)", f"[/}}/, /\\//].length", f"(!/{{/.test({self.value(0)}))", "(x => /[(]/.source.length)(1)")

    def division(self, d):
        return f"({self.pick(f'({self.value(d)})', f'[{self.value(0)}]', f'({self.object(d)}).n', self.object(d), '`1`', 'this', '2', 'function () {}')} {self.pick('/ ', chr(10) + '/ ')}{self.value(d)} / 2)"

    def number(self, _):
        return self.pick("1 .toFixed()", "1..toFixed()", "1.5.toFixed(1)", "1\n.toFixed()", "1. .toFixed()", "0x1 .toString()", "(1).toFixed()", "5 .e3", "1e1.toFixed()", "(3 - -2)", "(3 - - -2)")

    def throwing(self, d):
        return self.plainly(lambda: self.throwing_alone(d))

    def throwing_alone(self, d):
        return f"(() => {{ try {{ throw {self.pick(self.object(d), self.value(d))}; }} catch ({self.pick('e', '{ key, reason: self }', '{ n = 1 }')}) {{ return {self.pick(self.value(d), self.object(d))}; }} }})()"

    def later(self, d):
        return f"(await {self.pick(self.object(d), self.value(d), f'(async () => {self.body_alone(d)})()')})" if not self.plain else self.value(d)

    def parens(self, d):
        return f"({self.value(d)})"

    def optional(self, d):
        return f"({self.value(d)})?.{self.pick('key', '[0]', 'self?.()', '_own')}"

    def generator(self, d):
        return f"[...(function* () {{ yield {self.within([], lambda: self.plainly(lambda: self.pick(self.object(d), self.value(d))))}; yield* [1]; }})()]"

    # ---- statements

    plain = True  # no await may stand here

    def plainly(self, make):
        before, self.plain = self.plain, True
        made = make()
        self.plain = before
        return made

    def body(self, d):
        return self.plainly(lambda: self.body_alone(d))

    def body_alone(self, d):
        return self.within([], lambda: "{ " + (self.statement(d - 1) if d > 0 else "") + self.pick(f" return {self.value(d)};", f" return {self.value(0)}", " return\n1", f" return {self.object(d)}", " return\n.5;", "") + " }")

    def block(self, d, names=()):
        return self.within(names, lambda: "{\n" + "\n".join(self.statement(d - 1) for _ in range(self.r.randrange(3))) + "\n}")

    def end(self):
        return self.pick(";", ";", ";", "\n", "; // a / comment\n", " /* a\nline */")

    def statement(self, d):
        if d <= 0:
            return f"say({self.value(0)});"
        v, o = self.value, self.object
        name = self.fresh()

        def declare():
            if not name:
                return f"say({v(d)});"
            text = self.pick(lambda: v(d), lambda: o(d), lambda: f"() => {self.body(d)}", lambda: f"function () {self.body(d)}", lambda: f"(x) => x ? {{}} : {self.known()}", lambda: f"async () => {self.body(d)}")()
            self.seen[-1].append(name)
            return f"{self.pick('const', 'let')} {name} = {text}{self.end()}"

        def function():
            if not name:
                return "say(0);"
            params, names = self.pattern(d)
            body = self.within(names, lambda: self.body(d))
            self.seen[-1].append(name)
            return f"function{self.pick('', '*')} {name}({params}) {body}{self.pick('', ';', chr(10))}"

        return self.pick(
            declare, declare, declare, function,
            lambda: f"say({v(d)}){self.end()}",
            lambda: f"if ({v(d)}) /value  x/.test({v(0)}) ? say(1) : say(2){self.end()}",
            lambda: f"if ({v(d)}) say({v(d)}); else {self.block(d)}",
            lambda: f"if ({v(d)}) {self.block(d)} else if ({v(0)}) {self.block(d)}",
            lambda: f"{self.block(d)}\n/}}  {{/.test({v(0)}) || say(3){self.end()}",
            lambda: self.within(["key"], lambda: f"for (const key of [{v(d)}, {v(d)}]) {self.pick(self.block(d), 'say(key);', 'if (key) { say(1); } else say(typeof window, key);')}"),
            lambda: self.within(["n"], lambda: f"for (let n = 0, t = {o(d)}; n < 2; n++) {self.pick(self.block(d), 'say(n / 2 / t);')}"),
            lambda: self.within(["self"], lambda: f"for (const self in {o(d)}) {self.block(d)}"),
            lambda: f"for (const {{ key: [a, value] = [{v(0)}], ...of }} of [{o(0)}, {o(0)}]) {{ {self.within(['a', 'value', 'of'], lambda: f'say({v(d)});')} }}",
            lambda: f"switch ({v(d)}) {{ case {v(0)}: {self.block(d)} case {o(0)}: say(4); break; default: {self.block(d)} }}",
            lambda: f"try {{ throw {o(d)}; }} catch ({{ key, self: value = {v(0)} }}) {self.block(d, ['key', 'value'])} finally {self.block(0)}",
            lambda: f"self: for (;;) {{ for (;;) {{ say({v(d)}); break self; }} }}",
            lambda: f"do say({v(d)}); while (/{{/.test({v(0)})){self.pick(';', chr(10))}",
            lambda: f"(({self.pick(*NAMES)}) => {self.plainly(lambda: self.block(d))})({v(d)}){self.end()}",
            lambda: f"say(new Map([[{v(0)}, {v(0)}]]).size + Math.max(1, 2)){self.end()}",
            lambda: self.block(d))()

    def text(self):
        outside = []
        for _ in range(self.r.randrange(3)):
            name = self.fresh()
            if name in ("Map", "Math"):
                continue
            outside.append(self.within([name], lambda: f"const {name} = {self.pick(self.object(1), f'() => {self.body(1)}', f'class {{ {self.pick(*NAMES)} = () => {{ return 1; }}; }}')};"))
            self.seen[-1].append(name)
        self.plain = False
        inner = self.within([], lambda: "\n".join(self.careful(2) for _ in range(6)))
        return PRELUDE + "\n".join(outside) + f"\nexport const result = async () => {{\n{inner}\nreturn JSON.stringify(said, (k, v) => typeof v == \"bigint\" ? 0 : v);\n}};\n"

    def careful(self, d):
        """What throws ends no more than itself."""
        return self.within([], lambda: f"try {{\n{self.statement(d)}\n{self.statement(d)}\n}} catch (fault) {{ say(fault?.constructor?.name); }}")
