// A small shop on Orderly's API: one page, no framework. The calls are those of the typed client
// (docs/how-to/typescript-client.md); `tsc` checks this file against the types of the document.

import createClient from "./openapi-fetch.js";

/** @typedef {import("../typescript-client/orderly.js").paths} paths */
/** @typedef {import("../typescript-client/orderly.js").components["schemas"]} Schemas */
/** @typedef {{product: Schemas["Product"], quantity: number}} Line */

/** @type {import("openapi-fetch").Client<paths>} */
const shop = createClient({ baseUrl: "/api/v1", fetch: refreshing });

/** What is in the cart, and the key under which it will be ordered: a new cart, a new key. */
const cart = { lines: /** @type {Map<string, Line>} */ (new Map()), key: newKey() };

/** @type {Schemas["User"] | undefined} */
let user;
/** @type {string | null} */
let nextPage = null;
let searches = 0;

// --- Calling the shop -----------------------------------------------------------------------------

/** The access cookie lives for minutes: on a 401 take a new one, and ask once more.
 * @param {Request} request */
async function refreshing(request) {
  const again = request.clone();
  const answer = await fetch(request);
  if (answer.status !== 401 || user === undefined || request.url.includes("/auth/")) return answer;
  const refreshed = await fetch("/api/v1/auth/refresh", { method: "POST" });
  // 409: another tab has just refreshed the session, for this one as well.
  return refreshed.ok || refreshed.status === 409 ? fetch(again) : answer;
}

class Refused extends Error {
  /** @param {Schemas["Problem"]} problem */
  constructor(problem) {
    super(problem.detail);
    /** @readonly @type {Schemas["Problem"]} */
    this.problem = problem;
  }
}

/** Return the data of an answer, or throw the problem that it tells.
 * @template Data
 * @param {{data?: Data, error?: Schemas["Problem"]}} answer
 * @returns {Data} */
function taken(answer) {
  if (answer.error !== undefined) throw new Refused(answer.error);
  return /** @type {Data} */ (answer.data);
}

/** crypto.randomUUID is there on HTTPS and localhost only; this works on any development server. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// --- Browsing -------------------------------------------------------------------------------------

/** @param {string} [cursor] */
async function browse(cursor) {
  const search = ++searches;
  const form = new FormData(the("search", HTMLFormElement));
  const words = String(form.get("q")).trim();
  const page = taken(
    await shop.GET("/products", {
      params: {
        query: {
          limit: 12,
          sort: sortOf(form.get("sort")),
          ...(words ? { q: words } : {}),
          ...(form.has("in_stock") ? { in_stock: true } : {}),
          ...(cursor ? { cursor } : {}),
        },
      },
    }),
  );
  if (search !== searches) return; // somebody types faster than the shop answers
  nextPage = page.next_cursor;
  the("more").hidden = nextPage === null;
  const shelf = the("shelf");
  if (cursor === undefined) shelf.replaceChildren();
  shelf.append(...page.items.map(productCard));
  if (shelf.childElementCount === 0) shelf.append(empty("Nothing here fits your search."));
}

/** @param {FormDataEntryValue | null} value */
function sortOf(value) {
  return value === "price" || value === "-price" || value === "-created_at" ? value : "name";
}

/** @param {Schemas["Product"]} product */
function productCard(product) {
  const left = product.stock;
  const words = left === 0 ? "Sold out" : left < 5 ? `Only ${left} left` : "In stock";
  const kind = left === 0 ? "stock none" : left < 5 ? "stock few" : "stock";
  const picture = make("div", "picture", product.name.slice(0, 1).toUpperCase());
  const hue = [...product.sku].reduce((sum, letter) => sum + letter.charCodeAt(0) * 7, 0) % 360;
  picture.style.setProperty("--hue", String(hue));
  const about = make(
    "div",
    "about",
    make("h3", "", product.name),
    make("p", "", product.description),
    make("div", "row", make("span", "price", money(product.price)), make("span", kind, words)),
    button("Add to cart", () => add(product)),
  );
  const card = make("article", "product", picture, about);
  card.dataset["sku"] = product.sku;
  return card;
}

// --- The cart -------------------------------------------------------------------------------------

/** @param {Schemas["Product"]} product */
function add(product) {
  const line = cart.lines.get(product.id) ?? { product, quantity: 0 };
  change(product, line.quantity + 1);
  say(`${product.name} is in your cart.`);
}

/** Another cart is another order, so it gets another key.
 * @param {Schemas["Product"]} product @param {number} quantity */
function change(product, quantity) {
  if (quantity > 0) cart.lines.set(product.id, { product, quantity });
  else cart.lines.delete(product.id);
  cart.key = newKey();
  showCart();
}

function showCart() {
  const lines = [...cart.lines.values()];
  the("cart-count").textContent = String(lines.reduce((sum, line) => sum + line.quantity, 0));
  const basket = the("basket");
  const [first] = lines;
  if (first === undefined) {
    basket.replaceChildren(empty("Your cart is empty."));
    return;
  }
  const amount = lines.reduce((sum, { product, quantity }) => sum + product.price.amount * quantity, 0);
  const rows = lines.map(({ product, quantity }) => {
    const input = make("input", "");
    Object.assign(input, { type: "number", min: "0", max: "10000", value: String(quantity) });
    input.setAttribute("aria-label", `How many of ${product.name}`);
    input.addEventListener("change", () => change(product, Math.floor(Number(input.value)) || 0));
    const subtotal = { ...product.price, amount: product.price.amount * quantity };
    return make(
      "tr",
      "",
      make("td", "", product.name),
      make("td", "", input),
      make("td", "", money(subtotal)),
    );
  });
  const total = make("span", "price", money({ ...first.product.price, amount }));
  basket.replaceChildren(
    make("div", "card", make("table", "", ...rows), make("p", "row", total, button("Order", order))),
  );
}

async function order() {
  if (user === undefined) {
    openDoor();
    return;
  }
  const items = [...cart.lines.values()].map(({ product, quantity }) => ({
    product_id: product.id,
    quantity,
  }));
  const placed = taken(
    await shop.POST("/orders", {
      params: { header: { "Idempotency-Key": cart.key } },
      body: { items },
    }),
  );
  cart.lines.clear();
  cart.key = newKey();
  showCart();
  location.hash = "orders";
  say(`Thank you! Your order ${placed.number} over ${money(placed.total)} is placed.`);
  await browse();
}

// --- Orders ---------------------------------------------------------------------------------------

async function showOrders() {
  const history = the("history");
  if (user === undefined) {
    history.replaceChildren(empty("Sign in to see your orders."));
    return;
  }
  const page = taken(await shop.GET("/orders", { params: { query: { limit: 20, sort: "-created_at" } } }));
  history.replaceChildren(
    ...(page.items.length > 0 ? page.items.map(orderCard) : [empty("You have not ordered anything yet.")]),
  );
}

/** @param {Schemas["Order"]} placed */
function orderCard(placed) {
  const lines = placed.items.map((item) => `${item.quantity} × ${item.name}`).join(", ");
  const status = make("span", "status", placed.status);
  const card = make(
    "article",
    "card",
    make("div", "row", make("h3", "", placed.number), status),
    make("p", "", lines),
    make("p", "faint", `${new Date(placed.created_at).toLocaleString()}, ${money(placed.total)}`),
  );
  if (placed.allowed_transitions.includes("CANCELLED")) {
    card.append(button("Cancel order", () => cancel(placed), "quiet"));
  }
  return card;
}

/** @param {Schemas["Order"]} placed */
async function cancel(placed) {
  const params = { path: { order_id: placed.id } };
  taken(await shop.POST("/orders/{order_id}/cancel", { params, body: {} }));
  say(`Order ${placed.number} is cancelled.`);
  await showOrders();
  await browse();
}

// --- Signing in -----------------------------------------------------------------------------------

function openDoor() {
  the("account-error").textContent = "";
  the("door", HTMLDialogElement).showModal();
}

/** @param {SubmitEvent} event */
async function enter(event) {
  const chosen = event.submitter instanceof HTMLButtonElement ? event.submitter.value : "sign-in";
  if (chosen === "close") return;
  event.preventDefault(); // the dialog stays open until it has worked
  const form = new FormData(the("account", HTMLFormElement));
  const body = { email: String(form.get("email")), password: String(form.get("password")) };
  try {
    if (chosen === "sign-up") {
      taken(await shop.POST("/auth/register", { body: { ...body, name: String(form.get("name")).trim() } }));
    }
    become(taken(await shop.POST("/auth/login", { body })).user);
    the("door", HTMLDialogElement).close();
    say(`Welcome, ${user?.name}.`);
    await showOrders();
  } catch (error) {
    the("account-error").textContent = wordsFor(error);
  }
}

async function signOrLeave() {
  if (user === undefined) {
    openDoor();
    return;
  }
  taken(await shop.POST("/auth/logout"));
  become(undefined);
  say("You are signed out.");
  await showOrders();
}

/** @param {Schemas["User"] | undefined} who */
function become(who) {
  user = who;
  // Scripts cannot read the session's cookies: this only tells whether it is worth asking who we are.
  if (who === undefined) localStorage.removeItem("signed-in");
  else localStorage.setItem("signed-in", "yes");
  the("who").textContent = who?.name ?? "";
  the("sign").textContent = who === undefined ? "Sign in" : "Sign out";
}

// --- What is shown --------------------------------------------------------------------------------

/** @param {string} words @param {"good" | "bad"} [kind] */
function say(words, kind = "good") {
  the("message").replaceChildren(make("p", kind, words));
  if (kind === "bad") the("message").scrollIntoView({ block: "center" });
}

/** @param {unknown} error */
function wordsFor(error) {
  if (!(error instanceof Refused)) return "The shop cannot be reached. Try again: nothing is ordered twice.";
  const { problem } = error;
  const lines = (problem.lines ?? []).map((line) => {
    const name = cart.lines.get(line.product_id)?.product.name ?? "A product";
    if (line.available === undefined) return `${name} is not sold any more.`;
    if (line.available === 0) return `${name} is sold out.`;
    return `${name}: you want ${line.requested}, there are ${line.available}.`;
  });
  const faults = (problem.errors ?? []).map((fault) => `${fault.pointer ?? fault.parameter}: ${fault.message}`);
  return [problem.detail, problem.reason, ...lines, ...faults].filter(Boolean).join("\n");
}

/** @param {() => unknown} work */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (error instanceof Refused && error.problem.status === 401) {
      become(undefined);
      openDoor();
    }
    say(wordsFor(error), "bad");
  }
}

/** @param {{amount: number, currency: string}} price */
function money({ amount, currency }) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

/** @param {string} words */
function empty(words) {
  return make("p", "empty", words);
}

/** A button that cannot be pressed while what it does is being done.
 * @param {string} words @param {() => unknown} work @param {string} [kind] */
function button(words, work, kind = "") {
  const made = make("button", kind, words);
  made.addEventListener("click", async () => {
    made.disabled = true;
    await attempt(work);
    made.disabled = false;
  });
  return made;
}

/** @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {string} kind @param {(Node | string)[]} content */
function make(tag, kind, ...content) {
  const made = document.createElement(tag);
  made.className = kind;
  made.append(...content);
  return made;
}

/** Return an element of the page, of a kind.
 * @template {HTMLElement} [Kind=HTMLElement]
 * @param {string} id @param {new () => Kind} [kind]
 * @returns {Kind} */
function the(id, kind) {
  const found = document.getElementById(id);
  if (found === null || (kind !== undefined && !(found instanceof kind))) throw new Error(`no ${id}`);
  return /** @type {Kind} */ (found);
}

async function turnTo() {
  const name = ["cart", "orders"].find((one) => location.hash === `#${one}`) ?? "products";
  for (const one of ["products", "cart", "orders"]) the(one).hidden = one !== name;
  the(name).focus({ preventScroll: true });
  scrollTo(0, 0);
  if (name === "orders") await showOrders();
}

the("search").addEventListener("input", () => attempt(browse));
the("search").addEventListener("submit", (event) => event.preventDefault());
the("more").addEventListener("click", () => attempt(() => browse(nextPage ?? undefined)));
the("sign").addEventListener("click", () => attempt(signOrLeave));
the("account").addEventListener("submit", (event) => void enter(event));
addEventListener("hashchange", () => attempt(turnTo));

showCart();
await attempt(async () => {
  if (localStorage.getItem("signed-in") !== null) {
    // Known as signed in before, so that an access cookie that is over is refreshed.
    user = /** @type {Schemas["User"]} */ ({});
    const me = await shop.GET("/users/me");
    become(me.data);
  }
  await Promise.all([browse(), turnTo()]);
});
