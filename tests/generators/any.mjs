// Prints each use of the type `any` in a program, and in the types that its generated client exports:
//
//     node any.mjs '^client/runtime' 'FromJSON$'
//
// Arguments are patterns of files and of exported names that are not checked: what the client uses itself. The last
// line says how many exports were checked.

import ts from "typescript";

const MAX_DEPTH = 20; // the types of some generic methods are infinite
const skipped = process.argv.slice(2).map((pattern) => new RegExp(pattern));
const { config } = ts.readConfigFile("tsconfig.json", ts.sys.readFile);
const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, process.cwd());
const program = ts.createProgram(fileNames, options);
const checker = program.getTypeChecker();
const found = [];
let checked = 0;

const nameOf = (file) => file.fileName.slice(process.cwd().length + 1);
const isSkipped = (name) => skipped.some((pattern) => pattern.test(name));
const isGenerated = (file) => file.fileName.startsWith(`${process.cwd()}/client/`) && !isSkipped(nameOf(file));
const isAny = (type) => (type.flags & ts.TypeFlags.Any) !== 0;

/** Find `any` in a type: in its members, elements, parameters and results. */
function search(type, path, seen) {
  if (isAny(type)) found.push(path.join(""));
  if (seen.has(type) || path.length > MAX_DEPTH || type.flags & ts.TypeFlags.Primitive) return;
  seen.add(type);
  const searchIn = (part, name) => search(part, [...path, name], seen);
  if (type.isUnionOrIntersection()) {
    for (const part of type.types) searchIn(part, "");
    return;
  }
  const output = type.getProperty("_output"); // of a schema of zod: the type of the values that it returns
  if (output) {
    searchIn(checker.getTypeOfSymbol(output), "");
    return;
  }
  for (const argument of checker.getTypeArguments(type)) searchIn(argument, "<>");
  if (!(type.symbol?.declarations ?? []).every((one) => isGenerated(one.getSourceFile()))) return;
  for (const member of type.getProperties()) {
    const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
    if (member.valueDeclaration && ts.getCombinedModifierFlags(member.valueDeclaration) & hidden) continue;
    searchIn(checker.getTypeOfSymbol(member), `.${member.name}`);
  }
  for (const { type: value } of checker.getIndexInfosOfType(type)) searchIn(value, "[]");
  for (const signature of [...type.getCallSignatures(), ...type.getConstructSignatures()]) {
    for (const parameter of signature.parameters) {
      searchIn(checker.getTypeOfSymbol(parameter), `(${parameter.name})`);
    }
    searchIn(signature.getReturnType(), "()");
  }
}

/** Find expressions and variables of a program whose type is `any`. */
function searchProgram(node) {
  const hasType =
    ((ts.isVariableDeclaration(node) || ts.isParameter(node) || ts.isBindingElement(node)) &&
      ts.isIdentifier(node.name)) ||
    ts.isCallExpression(node) ||
    ts.isPropertyAccessExpression(node);
  if (node.kind === ts.SyntaxKind.AnyKeyword || (hasType && isAny(checker.getTypeAtLocation(node)))) {
    found.push(`program: ${node.getText()}`);
  }
  ts.forEachChild(node, searchProgram);
}

for (const file of program.getSourceFiles()) {
  if (nameOf(file) === "program.ts") searchProgram(file);
  if (!isGenerated(file)) continue;
  const module_ = checker.getSymbolAtLocation(file);
  for (let symbol of module_ ? checker.getExportsOfModule(module_) : []) {
    if (isSkipped(symbol.name)) continue;
    if (symbol.flags & ts.SymbolFlags.Alias) symbol = checker.getAliasedSymbol(symbol);
    if (!symbol.declarations?.some((one) => one.getSourceFile() === file)) continue; // exported again
    checked += 1;
    const isType = symbol.flags & (ts.SymbolFlags.Type | ts.SymbolFlags.Enum);
    const type = isType ? checker.getDeclaredTypeOfSymbol(symbol) : checker.getTypeOfSymbol(symbol);
    search(type, [symbol.name], new Set());
  }
}

for (const place of found) console.error(place);
console.log(`${checked} exports, ${found.length} times any`);
process.exitCode = checked === 0 || found.length > 0 ? 1 : 0;
