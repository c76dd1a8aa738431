// SPDX-License-Identifier: Apache-2.0
// Whether a packed script is the modules that it was made of, with other names: node packed.cjs MODULES FORM SOURCE PACKED, where
// FORM is module, classic, page or plain (as it is, only stripped) and MODULES has acorn and eslint-scope. The modules are joined
// here once more, by their trees, and the two trees are walked side by side: the same shape, properties and free names as they were,
// and of each that is declared one new name, which is no other's. Prints what differs, and as the last line how much was compared.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const [modules, form, source, packed] = process.argv.slice(2);
const acorn = require(path.resolve(modules, "acorn"));
const scopes = require(path.resolve(modules, "eslint-scope"));
const sourceType = form == "classic" ? "script" : "module";

const parse = (text, type = "module") => acorn.parse(text, { ecmaVersion: 2022, sourceType: type, ranges: true });

// ---- the modules as one, names as they are

const read = new Set();

function join(file, exports) {
	if (read.has(file)) return "";
	read.add(file);
	const text = fs.readFileSync(file, "utf8");
	let before = "";
	let out = "";
	for (const node of parse(text).body) {
		if (node.type == "ImportDeclaration") {
			before += join(path.resolve(path.dirname(file), node.source.value), null);
			continue;
		}
		const what = node.type == "ExportNamedDeclaration" ? node.declaration : node;
		if (what != node) exports?.push(...(what.id ? [what] : what.declarations).map((d) => d.id.name));
		out += text.slice(what.start, what.end) + "\n";
	}
	return before + out;
}

function bundle() {
	const exports = [];
	if (form == "plain") return fs.readFileSync(source, "utf8");
	const text = join(path.resolve(source), exports);
	if (form == "page") return text;
	return form == "module" ? `${text}export {${exports}};` : `globalThis.ringcast = (() => {\n${text}return {${exports}};})();`;
}

// ---- two scripts side by side

function analyse(text) {
	const tree = parse(text, sourceType);
	const variables = new Map();
	for (const scope of scopes.analyze(tree, { ecmaVersion: 2022, sourceType }).scopes) {
		for (const variable of scope.variables) {
			for (const node of variable.identifiers) variables.set(node, variable);
			for (const { identifier } of variable.references) variables.set(identifier, variable);
		}
	}
	return { text, tree, variables };
}

let script = fs.readFileSync(packed, "utf8");
if (form == "page") script = /<script type="module">([^]*?)<\/script>/.exec(script)[1];
const [was, is] = [analyse(bundle()), analyse(script)];
let compared = 0;
let errors = 0;

function differs(what, a, b) {
	const around = ({ text }, node) => (node ? text.slice(Math.max(0, node.start - 40), node.end + 20).replace(/\s+/g, " ") : "nothing");
	if (errors++ < 20) console.log(`${what}: ${around(was, a)} || ${around(is, b)}`);
}

// One of these is one of those, here and everywhere.
const kinds = {};
function pair(kind, x, y, a, b) {
	const { there, back } = (kinds[kind] ??= { there: new Map(), back: new Map() });
	if ((there.has(x) && there.get(x) !== y) || (back.has(y) && back.get(y) !== x)) differs(`another ${kind}`, a, b);
	there.set(x, y);
	back.set(y, x);
}

function property(a, b) {
	if (form != "plain" && a.name.length > 1 && a.name.startsWith("_") && b.name.startsWith("_")) pair("field", a.name, b.name, a, b);
	else if (a.name !== b.name) differs("another property", a, b);
}

function name(a, b) {
	const [x, y] = [was.variables.get(a), is.variables.get(b)];
	if (!x !== !y) differs("declared or not", a, b);
	else if (x) pair("variable", x, y, a, b);
	if ((!x || form == "plain") && a.name !== b.name) differs("another free name", a, b);
}

const KEYS = { MemberExpression: "property", Property: "key", MethodDefinition: "key", PropertyDefinition: "key" };

function is_property(parent, field) {
	if (KEYS[parent.type] == field) return !parent.computed;
	return (parent.type == "ExportSpecifier" && field == "exported") || (parent.type == "ImportSpecifier" && field == "imported") ||
		(field == "label" && /^(Labeled|Break|Continue)/.test(parent.type));
}

// Declarations that follow each other may have become one.
function apart(list) {
	return list.flatMap((x) => (x?.type == "VariableDeclaration" && x.kind != "var" ? x.declarations.map((one) => ({ ...x, declarations: [one] })) : [x]));
}

function value(a, b, parent, field) {
	if (Array.isArray(a) && Array.isArray(b)) {
		[a, b] = [apart(a), apart(b)];
		if (a.length != b.length) return differs("more or fewer", a[0], b[0]);
		return a.forEach((x, i) => value(x, b[i], parent, field));
	}
	if (a && b && typeof a.type == "string" && typeof b.type == "string") return node(a, b, parent, field);
	if (field == "kind" && a == "const" && b == "let") return;
	if (field == "value" && parent.type == "TemplateElement") [a, b] = [a.raw, b.raw];
	if (a !== b) differs(`another ${field}`, parent, null);
}

function node(a, b, parent, field) {
	compared++;
	if (a.type == "Literal" && typeof a.value == "boolean" && b.type == "UnaryExpression")
		return b.operator == "!" && b.argument.value === (a.value ? 0 : 1) ? undefined : differs("another value", a, b);
	if (a.type != b.type) return differs("another shape", a, b);
	if (a.type == "Literal") return a.raw === b.raw || (typeof a.value == "number" && a.value === b.value) ? undefined : differs("another value", a, b);
	if (a.type == "PrivateIdentifier") return pair("private name", a.name, b.name, a, b);
	if (a.type == "Identifier") return is_property(parent, field) ? property(a, b) : name(a, b);
	for (const key of Object.keys(a)) if (!["type", "start", "end", "range", "shorthand"].includes(key)) value(a[key], b[key], a, key);
}

node(was.tree, is.tree, null, "");
console.log(`${compared} nodes, ${kinds.variable?.there.size ?? 0} variables, ${errors} differ`);
process.exit(errors ? 1 : 0);
