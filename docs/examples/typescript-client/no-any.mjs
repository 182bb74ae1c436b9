// Fails if the program contains the type `any`, written or inferred. `tsc --strict` accepts an `any`
// that a library returns.

import ts from "typescript";

const { config } = ts.readConfigFile("tsconfig.json", ts.sys.readFile);
const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, process.cwd());
const program = ts.createProgram(fileNames, options);
const checker = program.getTypeChecker();
const hasType = (node) =>
  ((ts.isVariableDeclaration(node) || ts.isParameter(node) || ts.isBindingElement(node)) &&
    ts.isIdentifier(node.name)) ||
  ts.isCallExpression(node) ||
  ts.isPropertyAccessExpression(node);
const isAny = (node) => (checker.getTypeAtLocation(node).flags & ts.TypeFlags.Any) !== 0;
let checked = 0;
let found = 0;

for (const file of program.getSourceFiles()) {
  if (file.fileName.includes("node_modules")) continue;
  checked += 1;
  const visit = (node) => {
    if (node.kind === ts.SyntaxKind.AnyKeyword || (hasType(node) && isAny(node))) {
      const { line } = file.getLineAndCharacterOfPosition(node.getStart());
      console.error(`${file.fileName}:${line + 1}: any: ${node.getText().slice(0, 60)}`);
      found += 1;
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
}
console.log(`${checked} files, ${found} times any`);
process.exitCode = checked === 0 || found > 0 ? 1 : 0;
