// Swagger UI puts the first example of every parameter into its field: "Execute" would send all
// filters at once, and a cursor from elsewhere. What may be left out is left out until one of its
// examples is chosen.
const leftOut = { summary: "(left out)", value: "" };

function leaveOptionalParametersOut(contract) {
  const lists = Object.values(contract.paths).flatMap((item) =>
    [item, ...Object.values(item)].map((holder) => holder.parameters ?? []),
  );
  for (const parameter of [...Object.values(contract.components.parameters), ...lists.flat()]) {
    if (parameter.examples && !parameter.required) {
      parameter.examples = { left_out: leftOut, ...parameter.examples };
      const named = contract.components.schemas[parameter.schema.$ref?.split("/").pop()];
      parameter.schema = { ...(named ?? parameter.schema), example: undefined };
    }
  }
  return contract;
}

// Requests go to the same origin, so the browser keeps and sends the session cookies by itself:
// signing in by "Try it out" signs in every other operation on the page.
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
            updateJsonSpec: (update) => (contract) => update(leaveOptionalParametersOut(contract)),
          },
        },
      },
    },
  ],
});
