// Calls to the API, through the typed client (docs/how-to/typescript-client.md). `tsc` checks each call
// against the types of the OpenAPI document.

import createClient from "./openapi-fetch.js";

/** @typedef {import("orderly-api").paths} paths */
/** @typedef {import("orderly-api").components["schemas"]} Schemas */
/** @typedef {{currency: string, remedies: Record<string, string>}} Shop */

const BASE = "../api/v1";

/** @type {import("openapi-fetch").Client<paths>} */
export const api = createClient({ baseUrl: BASE, fetch: send });

/** What asks the user to sign in, and returns when the user has done so. session.js sets it. */
export const session = { askToSignIn: async () => {} };

/** @type {Promise<boolean> | undefined} */
let refreshing;

/** Send a request. If the access cookie has expired (401), refresh the session; if the session has ended
 * too, ask the user to sign in. Then send the request again.
 * @param {Request} request */
async function send(request) {
  const copy = request.clone();
  const response = await fetch(request);
  if (response.status !== 401 || request.url.includes("/auth/")) return response;
  refreshing ??= refresh().finally(() => (refreshing = undefined));
  if (!(await refreshing)) await session.askToSignIn();
  return fetch(copy);
}

async function refresh() {
  const response = await fetch(`${BASE}/auth/refresh`, { method: "POST" });
  // 409: another tab has just refreshed the session. The new cookies are valid for this tab too.
  return response.ok || response.status === 409;
}

/** The currency of the shop, and what to do about each problem. */
const response = await fetch("shop.json");
/** @type {Shop} */
export const shop = await response.json();

/** An error response. */
export class ProblemError extends Error {
  /** @param {Schemas["Problem"]} problem */
  constructor(problem) {
    super(problem.detail);
    /** @readonly @type {Schemas["Problem"]} */
    this.problem = problem;
  }
}

/** An error that this page has found itself. The message is for the user. */
export class PageError extends Error {}

/** Return the data of a result, or throw its problem.
 * @template Data
 * @param {{data?: Data, error?: Schemas["Problem"], response: Response}} result
 * @returns {Data} */
export function dataOf({ data, error, response }) {
  if (response.ok) return /** @type {Data} */ (data);
  // A proxy can answer with something else than a problem document.
  if (typeof error === "object" && "code" in error) throw new ProblemError(error);
  throw new PageError(`The server answered with the status ${response.status}. Try again later.`);
}

/** Return the data of a result together with its ETag, for `If-Match`.
 * @template Data
 * @param {{data?: Data, error?: Schemas["Problem"], response: Response}} result
 * @returns {{data: Data, etag: string}} */
export function versionOf(result) {
  return { data: dataOf(result), etag: result.response.headers.get("ETag") ?? "*" };
}

/** @param {unknown} error @param {string} code */
export function hasCode(error, code) {
  return error instanceof ProblemError && error.problem.code === code;
}

/** Return a function that returns the idempotency key for a body: the same key when the same body is sent
 * again after a lost response, another key for another body. */
export function idempotencyKeys() {
  let lastBody = "";
  let key = "";
  /** @param {unknown} body */
  return (body) => {
    const text = JSON.stringify(body);
    if (key === "" || text !== lastBody) key = newKey();
    lastBody = text;
    return key;
  };
}

/** crypto.randomUUID needs HTTPS or localhost; this works without them. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
