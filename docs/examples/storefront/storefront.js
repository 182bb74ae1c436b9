// An example shop on Orderly's API: one page, no framework. It calls the API through the typed client
// (docs/how-to/typescript-client.md). `tsc` checks this file against the types of the OpenAPI document.

import createClient from "./openapi-fetch.js";

/** @typedef {import("../typescript-client/orderly.js").paths} paths */
/** @typedef {import("../typescript-client/orderly.js").components["schemas"]} Schemas */
/** @typedef {{product: Schemas["Product"], quantity: number}} CartLine */

/** @type {import("openapi-fetch").Client<paths>} */
const api = createClient({ baseUrl: "/api/v1", fetch: fetchWithRefresh });

/** The cart, and the idempotency key of the order that it becomes. */
const cart = { lines: /** @type {Map<string, CartLine>} */ (new Map()), key: newKey() };

/** @type {Schemas["User"] | undefined} */
let user;
/** @type {string | null} */
let nextCursor = null;
let searchCount = 0;
/** The token of the mail whose link has led here; empty if there is none. */
let mailToken = "";

// --- Calling the API ------------------------------------------------------------------------------

/** Send a request. If the access cookie has expired (401), refresh the session and send it again.
 * @param {Request} request */
async function fetchWithRefresh(request) {
  const copy = request.clone();
  const response = await fetch(request);
  if (response.status !== 401 || user === undefined || request.url.includes("/auth/")) return response;
  const refreshed = await fetch("/api/v1/auth/refresh", { method: "POST" });
  // 409: another tab has just refreshed the session. The new cookies are valid for this tab too.
  return refreshed.ok || refreshed.status === 409 ? fetch(copy) : response;
}

class ProblemError extends Error {
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
function dataOf(result) {
  if (result.error !== undefined) throw new ProblemError(result.error);
  return /** @type {Data} */ (result.data);
}

/** Return a new idempotency key. crypto.randomUUID needs HTTPS or localhost; this works without them. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// --- Products -------------------------------------------------------------------------------------

/** Show the first page of the products that match the search form, or add the page of a cursor.
 * @param {string} [cursor] */
async function loadProducts(cursor) {
  const search = ++searchCount;
  const form = new FormData(element("search", HTMLFormElement));
  const words = String(form.get("q")).trim();
  const page = dataOf(
    await api.GET("/products", {
      params: {
        query: {
          limit: 12,
          sort: sortOrder(form.get("sort")),
          ...(words ? { q: words } : {}),
          ...(form.has("in_stock") ? { in_stock: true } : {}),
          ...(cursor ? { cursor } : {}),
        },
      },
    }),
  );
  if (search !== searchCount) return; // a newer search has started
  nextCursor = page.next_cursor;
  element("show-more").hidden = nextCursor === null;
  const list = element("product-list");
  if (cursor === undefined) list.replaceChildren();
  list.append(...page.items.map(productCard));
  if (list.childElementCount === 0) list.append(emptyNote("No products match your search."));
}

/** @param {FormDataEntryValue | null} value */
function sortOrder(value) {
  return value === "price" || value === "-price" || value === "-created_at" ? value : "name";
}

/** @param {Schemas["Product"]} product */
function productCard(product) {
  const { stock } = product;
  const stockText = stock === 0 ? "Sold out" : stock < 5 ? `Only ${stock} left` : "In stock";
  const stockClass = stock === 0 ? "stock none" : stock < 5 ? "stock low" : "stock";
  const picture = create("div", "picture", product.name.slice(0, 1).toUpperCase());
  const hue = [...product.sku].reduce((sum, letter) => sum + letter.charCodeAt(0) * 7, 0) % 360;
  picture.style.setProperty("--hue", String(hue));
  const details = create(
    "div",
    "details",
    create("h2", "", product.name),
    create("p", "", product.description),
    create("div", "row", create("span", "price", formatMoney(product.price)), create("span", stockClass, stockText)),
    button("Add to cart", () => addToCart(product)),
  );
  const card = create("article", "product", picture, details);
  card.dataset["sku"] = product.sku;
  return card;
}

// --- Cart -----------------------------------------------------------------------------------------

/** @param {Schemas["Product"]} product */
function addToCart(product) {
  const line = cart.lines.get(product.id) ?? { product, quantity: 0 };
  setQuantity(product, line.quantity + 1);
  showMessage(`${product.name} is in your cart.`);
}

/** Change the cart. A changed cart is a different order, so it needs a new idempotency key.
 * @param {Schemas["Product"]} product @param {number} quantity */
function setQuantity(product, quantity) {
  if (quantity > 0) cart.lines.set(product.id, { product, quantity });
  else cart.lines.delete(product.id);
  cart.key = newKey();
  showCart();
}

function showCart() {
  const lines = [...cart.lines.values()];
  element("cart-count").textContent = String(lines.reduce((sum, line) => sum + line.quantity, 0));
  const content = element("cart-content");
  const [first] = lines;
  if (first === undefined) {
    content.replaceChildren(emptyNote("Your cart is empty."));
    return;
  }
  const amount = lines.reduce((sum, { product, quantity }) => sum + product.price.amount * quantity, 0);
  const total = create("span", "price", formatMoney({ ...first.product.price, amount }));
  content.replaceChildren(
    create(
      "div",
      "card",
      create("table", "", ...lines.map(cartRow)),
      create("p", "row", total, button("Place order", placeOrder)),
    ),
  );
}

/** @param {CartLine} line */
function cartRow({ product, quantity }) {
  const input = create("input", "");
  Object.assign(input, { type: "number", min: "0", max: "10000", value: String(quantity) });
  input.setAttribute("aria-label", `Quantity of ${product.name}`);
  input.addEventListener("change", () => setQuantity(product, Math.floor(Number(input.value)) || 0));
  const subtotal = { ...product.price, amount: product.price.amount * quantity };
  return create(
    "tr",
    "",
    create("td", "", product.name),
    create("td", "", input),
    create("td", "", formatMoney(subtotal)),
  );
}

async function placeOrder() {
  if (user === undefined) {
    openSignIn();
    return;
  }
  const items = [...cart.lines.values()].map(({ product, quantity }) => ({
    product_id: product.id,
    quantity,
  }));
  const order = dataOf(
    await api.POST("/orders", {
      params: { header: { "Idempotency-Key": cart.key } },
      body: { items },
    }),
  );
  cart.lines.clear();
  cart.key = newKey();
  showCart();
  location.hash = "orders";
  showMessage(`Thank you! Your order ${order.number} for ${formatMoney(order.total)} is placed.`);
  await loadProducts();
}

// --- Orders ---------------------------------------------------------------------------------------

async function showOrders() {
  const list = element("order-list");
  if (user === undefined) {
    list.replaceChildren(emptyNote("Sign in to see your orders."));
    return;
  }
  const page = dataOf(await api.GET("/orders", { params: { query: { limit: 20, sort: "-created_at" } } }));
  const cards = await Promise.all(page.items.map(orderCard));
  list.replaceChildren(...(cards.length > 0 ? cards : [emptyNote("You have no orders yet.")]));
}

/** @param {Schemas["Order"]} order */
async function orderCard(order) {
  const items = order.items.map((item) => `${item.quantity} × ${item.name}`).join(", ");
  const status = create("span", "status", order.status);
  const card = create(
    "article",
    "card",
    create("div", "row", create("h2", "", order.number), status),
    create("p", "", items),
    create("p", "faint", `${new Date(order.created_at).toLocaleString()}, ${formatMoney(order.total)}`),
  );
  if (order.amount_refunded.amount > 0) {
    card.append(create("p", "", `Refunded: ${formatMoney(order.amount_refunded)}`));
  }
  const actions = create("p", "actions");
  if (order.status === "PENDING") {
    if (await wasDeclined(order)) {
      card.append(create("p", "error", "Your payment was declined. You can try again."));
    }
    actions.append(button("Pay", () => payOrder(order)));
  }
  if (order.allowed_transitions.includes("CANCELLED")) {
    actions.append(button("Cancel order", () => cancelOrder(order), "secondary"));
  }
  card.append(actions);
  return card;
}

/** Return whether the last payment of an order has failed.
 * @param {Schemas["Order"]} order */
async function wasDeclined(order) {
  const params = { path: { order_id: order.id }, query: { limit: 100 } };
  const page = dataOf(await api.GET("/orders/{order_id}/payments", { params }));
  return page.items.at(-1)?.status === "FAILED";
}

/** Go to the payment page. The order becomes PAID when the money has arrived, also if the customer does
 * not return from the page.
 * @param {Schemas["Order"]} order */
async function payOrder(order) {
  const { redirect_url } = await startPayment(order);
  if (redirect_url === null) {
    // It was paid in the meantime, perhaps in another tab.
    await showOrders();
    return;
  }
  const page = new URL(redirect_url, location.href);
  page.searchParams.set("return_to", `${location.pathname}#orders`);
  location.assign(page);
}

/** Return a new payment of an order by the sandbox; or the one that was started before.
 * @param {Schemas["Order"]} order */
async function startPayment(order) {
  const path = { order_id: order.id };
  const started = await api.POST("/orders/{order_id}/payments", {
    params: { path, header: { "Idempotency-Key": newKey() } },
    body: { provider: "sandbox" },
  });
  const unfinished = started.error?.code === "payment_in_progress" ? started.error.payment_id : undefined;
  if (unfinished === undefined) return dataOf(started);
  return dataOf(await api.GET("/payments/{payment_id}", { params: { path: { payment_id: unfinished } } }));
}

/** @param {Schemas["Order"]} order */
async function cancelOrder(order) {
  const params = { path: { order_id: order.id } };
  dataOf(await api.POST("/orders/{order_id}/cancel", { params, body: {} }));
  showMessage(`Order ${order.number} is cancelled.`);
  await showOrders();
  await loadProducts();
}

// --- Signing in -----------------------------------------------------------------------------------

function openSignIn() {
  element("sign-in-error").textContent = "";
  element("sign-in-dialog", HTMLDialogElement).showModal();
}

/** @param {SubmitEvent} event */
async function submitSignIn(event) {
  const action = event.submitter instanceof HTMLButtonElement ? event.submitter.value : "sign-in";
  if (action === "close") return;
  event.preventDefault(); // keep the dialog open until the sign-in has succeeded
  const form = new FormData(element("sign-in-form", HTMLFormElement));
  const body = { email: String(form.get("email")), password: String(form.get("password")) };
  try {
    if (action === "forgot-password") {
      await requestPasswordReset(body.email);
      return;
    }
    if (action === "sign-up") {
      const name = String(form.get("name")).trim();
      const registered = dataOf(await api.POST("/auth/register", { body: { ...body, name } }));
      if (!("id" in registered)) {
        // The shop requires verified addresses, and does not say whether this one was registered before.
        element("sign-in-dialog", HTMLDialogElement).close();
        showMessage(`We have sent a mail to ${registered.email}. Use the link in it, then sign in.`);
        return;
      }
    }
    const { user: signedIn } = dataOf(await api.POST("/auth/login", { body }));
    setUser(signedIn);
    element("sign-in-dialog", HTMLDialogElement).close();
    showMessage(`Welcome, ${signedIn.name}.`);
    await showSection();
  } catch (error) {
    element("sign-in-error").textContent = errorText(error);
  }
}

async function signInOrOut() {
  if (user === undefined) {
    openSignIn();
    return;
  }
  dataOf(await api.POST("/auth/logout"));
  setUser(undefined);
  showMessage("You are signed out.");
  await showSection();
}

/** @param {Schemas["User"] | undefined} newUser */
function setUser(newUser) {
  user = newUser;
  // Scripts cannot read the session cookies, so remember whether there is a session to restore.
  if (newUser === undefined) localStorage.removeItem("signed-in");
  else localStorage.setItem("signed-in", "yes");
  element("user-name").textContent = newUser?.name ?? "";
  element("sign-in-button").textContent = newUser === undefined ? "Sign in" : "Sign out";
}

async function restoreSession() {
  if (localStorage.getItem("signed-in") === null) return;
  // Set a user first: fetchWithRefresh refreshes an expired access cookie only for a signed-in user.
  user = /** @type {Schemas["User"]} */ ({});
  const me = await api.GET("/users/me");
  setUser(me.data);
}

// --- Account: password and email address ----------------------------------------------------------

/** @param {string} email */
async function requestPasswordReset(email) {
  const request = dataOf(await api.POST("/auth/password-resets", { body: { email } }));
  element("sign-in-dialog", HTMLDialogElement).close();
  showMessage(`If ${request.email} has an account here, you get a mail with a link. It is valid for 30 minutes.`);
}

/** @param {FormData} form */
async function resetPassword(form) {
  const body = { token: mailToken, new_password: String(form.get("new_password")) };
  dataOf(await api.POST("/auth/password-resets/confirm", { body }));
  mailToken = "";
  setUser(undefined); // all sessions have ended
  location.hash = "products";
  showMessage("Your new password is set. Sign in with it.");
  openSignIn();
}

async function verifyEmail() {
  dataOf(await api.POST("/auth/email-verifications/confirm", { body: { token: mailToken } }));
  mailToken = "";
  location.hash = "account";
  showMessage("Thank you! Your email address is confirmed.");
}

async function showAccount() {
  const content = element("account-content");
  for (const id of ["change-email-form", "my-data", "delete-account-form"]) element(id).hidden = user === undefined;
  if (user === undefined) {
    content.replaceChildren(emptyNote("Sign in to see your account."));
    return;
  }
  const me = dataOf(await api.GET("/users/me"));
  const card = create("div", "card", create("h2", "", me.name), create("p", "", me.email));
  if (me.email_verified) card.append(create("p", "faint", "This address is confirmed."));
  else {
    card.append(create("p", "faint", "This address is not confirmed yet: use the link in the mail."));
    card.append(button("Send another mail", requestEmailVerification, "secondary"));
  }
  content.replaceChildren(card);
}

async function requestEmailVerification() {
  const request = dataOf(await api.POST("/auth/email-verifications"));
  showMessage(`We send a mail to ${request.email}. Use the link in it.`);
}

/** @param {FormData} form */
async function changeEmail(form) {
  const body = { email: String(form.get("email")), current_password: String(form.get("current_password")) };
  const request = dataOf(await api.PUT("/users/me/email", { body }));
  element("change-email-form", HTMLFormElement).reset();
  showMessage(`We send a mail to ${request.email}. Your address changes when you use the link in it.`);
}

/** Save everything that the shop has stored about the user as a file. Not by a plain link: the access
 * cookie may have expired. */
async function downloadMyData() {
  const blob = dataOf(await api.GET("/users/me/export", { parseAs: "blob" }));
  const link = create("a", "");
  link.href = URL.createObjectURL(blob);
  link.download = "personal-data.json";
  link.click();
  URL.revokeObjectURL(link.href);
}

/** @param {FormData} form */
async function deleteAccount(form) {
  const body = { current_password: String(form.get("current_password")) };
  dataOf(await api.DELETE("/users/me", { body }));
  element("delete-account-form", HTMLFormElement).reset();
  setUser(undefined);
  location.hash = "products";
  showMessage("Your account is deleted. A last mail confirms it.");
}

// --- Messages -------------------------------------------------------------------------------------

/** @param {string} text @param {"good" | "bad"} [kind] */
function showMessage(text, kind = "good") {
  element("message").replaceChildren(create("p", kind, text));
  if (kind === "bad") element("message").scrollIntoView({ block: "center" });
}

/** @param {unknown} error */
function errorText(error) {
  if (!(error instanceof ProblemError)) {
    return "The shop cannot be reached. Try again: your order is not placed twice.";
  }
  const { problem } = error;
  const lines = (problem.lines ?? []).map((line) => {
    const name = cart.lines.get(line.product_id)?.product.name ?? "A product";
    if (line.available === undefined) return `${name} is no longer sold.`;
    if (line.available === 0) return `${name} is sold out.`;
    return `${name}: you ordered ${line.requested}, but the stock is ${line.available}.`;
  });
  const errors = (problem.errors ?? []).map((entry) => `${entry.pointer ?? entry.parameter}: ${entry.message}`);
  if (problem.order_numbers !== undefined) lines.push(problem.order_numbers.join(", "));
  if (problem.code === "email_not_verified") lines.push('Use the link in our mail, or get another one at "Account".');
  return [problem.detail, problem.reason, ...lines, ...errors].filter(Boolean).join("\n");
}

/** Run an action. Show its error, and ask the user to sign in if the session has ended.
 * @param {() => unknown} action */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    if (error instanceof ProblemError && error.problem.status === 401) {
      setUser(undefined);
      openSignIn();
    }
    showMessage(errorText(error), "bad");
  }
}

/** @param {{amount: number, currency: string}} money */
function formatMoney({ amount, currency }) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

// --- Elements -------------------------------------------------------------------------------------

/** @param {string} text */
function emptyNote(text) {
  return create("p", "empty", text);
}

/** Create a button that is disabled while its action runs.
 * @param {string} text @param {() => unknown} action @param {string} [className] */
function button(text, action, className = "") {
  const created = create("button", className, text);
  created.addEventListener("click", async () => {
    created.disabled = true;
    await attempt(action);
    created.disabled = false;
  });
  return created;
}

/** Run an action with the data of a form when it is submitted.
 * @param {string} id @param {(form: FormData) => Promise<void>} action */
function onSubmit(id, action) {
  const form = element(id, HTMLFormElement);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void attempt(() => action(new FormData(form)));
  });
}

/** @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {string} className @param {(Node | string)[]} content */
function create(tag, className, ...content) {
  const created = document.createElement(tag);
  created.className = className;
  created.append(...content);
  return created;
}

/** Return the element of this id, or throw an error if it is missing or of another type.
 * @template {HTMLElement} [Type=HTMLElement]
 * @param {string} id @param {new () => Type} [type]
 * @returns {Type} */
function element(id, type) {
  const found = document.getElementById(id);
  if (found === null || (type !== undefined && !(found instanceof type))) throw new Error(`no ${id}`);
  return /** @type {Type} */ (found);
}

const SECTIONS = ["products", "account", "cart", "orders", "reset-password", "verify-email"];

/** Show the section that the URL fragment names. Links in mails have a token behind the name. */
async function showSection() {
  const [fragment, token] = location.hash.slice(1).split("=");
  const name = SECTIONS.find((section) => section === fragment) ?? "products";
  if (token !== undefined) {
    mailToken = token;
    history.replaceState(null, "", `#${name}`); // the token must not stay in the history
  }
  for (const section of SECTIONS) element(section).hidden = section !== name;
  element(name).focus({ preventScroll: true });
  scrollTo(0, 0);
  if (name === "orders") await showOrders();
  if (name === "account") await showAccount();
}

element("search").addEventListener("input", () => attempt(loadProducts));
element("search").addEventListener("submit", (event) => event.preventDefault());
element("show-more").addEventListener("click", () => attempt(() => loadProducts(nextCursor ?? undefined)));
element("sign-in-button").addEventListener("click", () => attempt(signInOrOut));
onSubmit("change-email-form", changeEmail);
onSubmit("delete-account-form", deleteAccount);
element("download-my-data").addEventListener("click", () => attempt(downloadMyData));
onSubmit("reset-password-form", resetPassword);
onSubmit("verify-email-form", verifyEmail);
element("sign-in-form").addEventListener("submit", (event) => void submitSignIn(event));
addEventListener("hashchange", () => attempt(showSection));

showCart();
await attempt(async () => {
  await restoreSession();
  await Promise.all([loadProducts(), showSection()]);
});
