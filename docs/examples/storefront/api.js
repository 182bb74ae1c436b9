// Calls the API through the typed client (docs/how-to/typescript-client.md), and continues sessions.

import createClient from "./openapi-fetch.js";

/** @typedef {import("../typescript-client/orderly.js").paths} paths */
/** @typedef {import("../typescript-client/orderly.js").components["schemas"]} Schemas */

/** @type {import("openapi-fetch").Client<paths>} */
export const api = createClient({ baseUrl: "/api/v1", fetch: fetchWithRefresh });

/** The signed-in user. */
export const session = { user: /** @type {Schemas["User"] | undefined} */ (undefined) };

/** Send a request. If the access cookie has expired (401), refresh the session and send it again.
 * @param {Request} request */
async function fetchWithRefresh(request) {
  const copy = request.clone();
  const response = await fetch(request);
  if (response.status !== 401 || session.user === undefined || request.url.includes("/auth/")) return response;
  const refreshed = await fetch("/api/v1/auth/refresh", { method: "POST" });
  // 409: another tab has just refreshed the session. The new cookies are valid for this tab too.
  return refreshed.ok || refreshed.status === 409 ? fetch(copy) : response;
}

export class ProblemError extends Error {
  /** @param {Schemas["Problem"]} problem */
  constructor(problem) {
    super(problem.detail);
    /** @readonly @type {Schemas["Problem"]} */
    this.problem = problem;
  }
}

/** Return the data of a result, or throw its problem.
 * @template Data
 * @param {{data?: Data, error?: Schemas["Problem"]}} result
 * @returns {Data} */
export function dataOf(result) {
  if (result.error !== undefined) throw new ProblemError(result.error);
  return /** @type {Data} */ (result.data);
}

/** Return the data of a result, or undefined if the object of an address does not exist. 400: the id in
 * the address is none.
 * @template Data
 * @param {{data?: Data, error?: Schemas["Problem"]}} result */
export function dataIfFound(result) {
  const status = result.error?.status;
  return status === 404 || status === 400 ? undefined : dataOf(result);
}

/** The products that this page has read, by id, each in its newest state. */
export const knownProducts = /** @type {Map<string, Schemas["Product"]>} */ (new Map());

/** Return a product, or undefined if it is not sold (any more).
 * @param {string} id */
export async function fetchProduct(id) {
  const product = dataIfFound(await api.GET("/products/{product_id}", { params: { path: { product_id: id } } }));
  if (product !== undefined) knownProducts.set(id, product);
  return product;
}

/** Return a new idempotency key. crypto.randomUUID needs HTTPS or localhost; this works without them. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
