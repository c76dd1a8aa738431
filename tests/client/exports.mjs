// SPDX-License-Identifier: Apache-2.0
// What an entry of the client exports, and what its types say that it does, as JSON: `node exports.mjs MODULES ENTRY.js ENTRY.d.ts`, where MODULES has typescript. Of classes their members, too.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, entry, types] = process.argv.slice(2);
const ts = createRequire(`${resolve(modules)}/`)("typescript");

const exported = {};
for (const [name, value] of Object.entries(await import(pathToFileURL(resolve(entry))))) {
	const isClass = typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));
	exported[name] = isClass ? Object.getOwnPropertyNames(value.prototype).filter((n) => n !== "constructor").sort() : typeof value;
}

const said = {};
const file = ts.createSourceFile(types, readFileSync(types, "utf8"), ts.ScriptTarget.Latest, true);
for (const statement of file.statements) {
	const isExported = ts.canHaveModifiers(statement) && ts.getModifiers(statement)?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword);
	if (!isExported) continue;
	if (ts.isFunctionDeclaration(statement)) said[statement.name.text] = "function";
	else if (ts.isVariableStatement(statement)) {
		for (const { name, type } of statement.declarationList.declarations) said[name.text] = type.getText();
	} else if (ts.isClassDeclaration(statement)) {
		// Properties that are no accessors stand on each object, and can't be seen here.
		const isError = statement.heritageClauses?.length;
		said[statement.name.text] = isError ? [] : [...new Set(statement.members.filter((m) => m.name).map((m) => m.name.getText()))].sort();
	}
}
console.log(JSON.stringify({ exported, said }));
