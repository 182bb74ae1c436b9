// Converts a document to a Postman collection, and runs the requests of overlay.json with newman:
//
//     node run.mjs openapi.json http://localhost:8000
//
// The overlay chooses requests of the collection, which have the examples of the document. It chains them: `save` puts
// a member of a response into a variable, and the parameters of later paths have the variables of their names.

import { readFile, writeFile } from "node:fs/promises";
import newman from "newman";
import converter from "openapi-to-postmanv2";

const [file, url] = process.argv.slice(2);
const options = {
  folderStrategy: "Tags",
  parametersResolution: "Example",
  enableOptionalParameters: false,
};

async function convert(data) {
  const { promise, resolve, reject } = Promise.withResolvers();
  converter.convertV2({ type: "json", data }, options, (error, { result, reason, output } = {}) =>
    error || !result ? reject(error ?? new Error(reason)) : resolve(output[0].data),
  );
  return promise;
}

function requestsIn(items) {
  return items.flatMap((item) => (item.item ? requestsIn(item.item) : [item]));
}

/** Return a request of the collection with the changes of a step. */
function applied(step, requests) {
  const found = requests.find(({ name }) => name === step.request);
  if (!found) throw new Error(`The collection has no request ${step.request}.`);
  const { name, request } = structuredClone(found);
  for (const parameter of request.url.variable ?? []) parameter.value = `{{${parameter.key}}}`;
  for (const parameter of request.url.query ?? []) parameter.disabled = !step.query?.includes(parameter.key);
  if (step.body) request.body.raw = JSON.stringify(step.body);
  const path = (members) => members.split(".").map((member) => `[${JSON.stringify(member)}]`).join("");
  const exec = [
    `pm.test("${name}: ${step.status}", () => pm.response.to.have.status(${step.status}));`,
    ...Object.entries(step.save ?? {}).map(
      ([variable, members]) => `pm.collectionVariables.set("${variable}", pm.response.json()${path(members)});`,
    ),
    ...(step.code ? [`pm.test("${step.code}", () => pm.expect(pm.response.json().code).to.eql("${step.code}"));`] : []),
  ];
  return { name, request, event: [{ listen: "test", script: { type: "text/javascript", exec } }] };
}

const collection = await convert(await readFile(file, "utf8"));
const requests = requestsIn(collection.item);
const overlay = JSON.parse(await readFile(new URL("overlay.json", import.meta.url), "utf8"));
const variable = [{ key: "baseUrl", value: `${url}/api/v1` }];
const chained = { ...collection, variable, item: overlay.map((step) => applied(step, requests)) };
await writeFile("collection.json", JSON.stringify(chained, null, 1));

newman.run({ collection: chained, reporters: ["cli"], color: "off" }, (error, { run } = {}) => {
  if (error) throw error;
  console.log(`${requests.length} requests converted, ${run.stats.assertions.total} checked, ${run.failures.length} failed`);
  process.exitCode = run.failures.length === 0 ? 0 : 1;
});
