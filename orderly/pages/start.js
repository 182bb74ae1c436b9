// Swagger UI fills in the first example of every parameter, so "Execute" would send all filters and
// a cursor. Leave optional parameters empty until the user selects an example. If the schema has an
// example too, Swagger UI prefers it: remove it.
const omitted = { summary: "(omitted)", value: "" };

function fillInParameters(contract) {
  const lists = Object.values(contract.paths).flatMap((pathItem) =>
    [pathItem, ...Object.values(pathItem)].map((holder) => holder.parameters ?? []),
  );
  for (const parameter of [...Object.values(contract.components.parameters), ...lists.flat()]) {
    if (parameter.examples) {
      if (!parameter.required) {
        parameter.examples = { omitted, ...parameter.examples };
      }
      const schema = contract.components.schemas[parameter.schema.$ref?.split("/").pop()];
      parameter.schema = { ...(schema ?? parameter.schema), example: undefined };
    }
  }
  return contract;
}

// For a file, Swagger UI shows a file picker without the example. Show a text area with the example.
function editFilesAsText(contract) {
  const operations = Object.values(contract.paths).flatMap((pathItem) => Object.values(pathItem));
  for (const content of operations.map((operation) => operation.requestBody?.content ?? {})) {
    if (content["text/csv"]) {
      content["text/csv"].schema = { type: "string" };
    }
  }
  return contract;
}

// Requests go to the same origin, so the browser stores and sends the session cookies: after a login
// through "Try it out", every other operation on the page is signed in too.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  docExpansion: "list",
  filter: true,
  validatorUrl: null,
  plugins: [
    {
      statePlugins: {
        spec: {
          wrapActions: {
            updateJsonSpec: (update) => (contract) => update(editFilesAsText(fillInParameters(contract))),
          },
        },
      },
    },
  ],
});
