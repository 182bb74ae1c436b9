// Swagger UI fills in the first example of every parameter, so "Execute" would send all filters and
// a cursor. Leave optional parameters empty until the user selects an example. If the schema has an
// example too, Swagger UI prefers it: remove it.
const omitted = { summary: "(omitted)", value: "" };

function omitOptionalParameters(contract) {
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

// Scripts cannot set the session cookies, so the dialog "Authorize" offers only the bearer token.
function offerOnlyTokens(contract) {
  const schemes = contract.components.securitySchemes;
  const names = Object.keys(schemes).filter((name) => schemes[name].type !== "apiKey");
  contract.components.securitySchemes = Object.fromEntries(names.map((name) => [name, schemes[name]]));
  const holders = Object.values(contract.paths).flatMap((pathItem) => Object.values(pathItem));
  for (const holder of [contract, ...holders]) {
    if (holder.security) {
      holder.security = holder.security.filter((one) => Object.keys(one).every((name) => names.includes(name)));
    }
  }
  return contract;
}

function lengthOf(value) {
  return value?.items?.length === 0 ? Infinity : JSON.stringify(value).length;
}

// Show the shortest example of a response first, and lists without items last.
function sortExamples(contract) {
  const operations = Object.values(contract.paths).flatMap((pathItem) => Object.values(pathItem));
  for (const response of operations.flatMap((operation) => Object.values(operation.responses ?? {}))) {
    for (const content of Object.values(response.content ?? {})) {
      const length = ([, { $ref, value }]) =>
        lengthOf($ref ? contract.components.examples[$ref.split("/").pop()].value : value);
      const examples = Object.entries(content.examples ?? {});
      if (examples.length > 1) {
        content.examples = Object.fromEntries(examples.sort((one, other) => length(one) - length(other)));
      }
    }
  }
  return contract;
}

const changes = [omitOptionalParameters, editFilesAsText, offerOnlyTokens, sortExamples];

// An operation matches if its tag, method, path, id and summary contain all words of the filter.
function filterOperations(taggedOperations, text) {
  const words = text.toLowerCase().split(/\s+/);
  const matches = (tag) => (operation) => {
    const searched = [
      tag,
      operation.get("method"),
      operation.get("path"),
      operation.getIn(["operation", "operationId"]),
      operation.getIn(["operation", "summary"]),
    ];
    return words.every((word) => searched.join(" ").toLowerCase().includes(word));
  };
  return taggedOperations
    .map((group, tag) => group.update("operations", (operations) => operations.filter(matches(tag))))
    .filter((group) => group.get("operations").size > 0);
}

function describeFilter() {
  const filter = document.querySelector(".operation-filter-input");
  filter.placeholder = "Filter by words, such as: create refund";
  filter.setAttribute("aria-label", "Filter operations by words");
}

// Names and roles that Swagger UI does not give to its elements, for screen readers and keyboards.
const attributes = {
  ".scheme-container": { role: "region", "aria-label": "Server and authorization" },
  ".filter": { role: "search" },
  ".servers select": { "aria-label": "Server" },
  ".examples-select select": { "aria-label": "Example" },
  ".content-type": { "aria-label": "Media type" },
  ".parameters-col_description select": { "aria-label": "Value" },
  "textarea.body-param__text": { "aria-label": "Request body" },
  // A region that scrolls must be focusable.
  ".highlight-code > *, .curl, .microlight, .response-col_links pre": { tabindex: "0" },
};

function setAttributes() {
  for (const [selector, values] of Object.entries(attributes)) {
    for (const element of document.querySelectorAll(selector)) {
      for (const [name, value] of Object.entries(values)) {
        if (!element.hasAttribute(name)) element.setAttribute(name, value);
      }
    }
  }
}

new MutationObserver(setAttributes).observe(document.body, { childList: true, subtree: true });

// Collapse the description, so that the first operations are visible without scrolling.
function collapseDescription(Description, { React }) {
  return (properties) =>
    React.createElement(
      "details",
      { className: "guide" },
      React.createElement("summary", null, "Guide: sign-in, errors, lists, changes, payments"),
      React.createElement(Description, properties),
    );
}

// The curl command cannot use the cookies of the browser. Add options that keep cookies in a file.
function addCookieFileToCurl(request) {
  if (!request.headers?.Authorization) {
    request.curlOptions = ["--cookie", "cookies.txt", "--cookie-jar", "cookies.txt"];
  }
  return request;
}

const darkMode = window.matchMedia("(prefers-color-scheme: dark)");
const followMode = () => document.documentElement.classList.toggle("dark-mode", darkMode.matches);
darkMode.addEventListener("change", followMode);
followMode();

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
  defaultModelsExpandDepth: 0,
  filter: true,
  validatorUrl: null,
  requestInterceptor: addCookieFileToCurl,
  onComplete: describeFilter,
  plugins: [
    {
      fn: { opsFilter: filterOperations },
      wrapComponents: { InfoContainer: collapseDescription },
      statePlugins: {
        spec: {
          wrapActions: {
            updateJsonSpec: (update) => (contract) =>
              update(changes.reduce((changed, change) => change(changed), contract)),
          },
        },
      },
    },
  ],
});
