// An example shop on Orderly's API: one page, no framework. It calls the API through the typed client
// (docs/how-to/typescript-client.md). `tsc` checks these files against the types of the OpenAPI document.
//
// This file shows the section that the URL fragment names, such as `#cart` or `#product/ID`.

import { restoreSession, setMailToken, showAccount } from "./account.js";
import { attempt } from "./actions.js";
import { restoreCart } from "./cart.js";
import "./checkout.js";
import { element } from "./elements.js";
import { showOrder, showOrders } from "./orders.js";
import { loadProducts, showProduct } from "./products.js";

/** The sections, and what loads their contents. @type {Record<string, (id: string) => Promise<void>>} */
const SECTIONS = {
  products: async () => {},
  product: showProduct,
  cart: async () => {},
  orders: showOrders,
  order: showOrder,
  account: showAccount,
  "reset-password": async () => {},
  "verify-email": async () => {},
};
const NAVIGATION = { product: "products", order: "orders" };

/** The section that is shown, with its id, and the scroll position of the list of products when it was left. */
let shown = "";
let shownId = "";
let listPosition = 0;

/** Show the section that the URL fragment names, and load its content. */
async function showSection() {
  const [fragment = "", token] = location.hash.slice(1).split("=");
  const [first = "", id = ""] = fragment.split("/");
  const name = Object.hasOwn(SECTIONS, first) ? first : "products";
  if (token !== undefined) {
    setMailToken(token);
    history.replaceState(null, "", `#${name}`); // the token must not stay in the history
  }
  if (shown === "products") listPosition = scrollY;
  for (const section of Object.keys(SECTIONS)) element(section).hidden = section !== name;
  scrollTo(0, name === "products" ? listPosition : 0);
  markNavigation(name);
  const isFirst = shown === "";
  shown = name;
  shownId = id;
  await SECTIONS[name]?.(id);
  if (shown === name && shownId === id) announceSection(name, isFirst);
}

/** @param {string} name */
function markNavigation(name) {
  const current = name in NAVIGATION ? NAVIGATION[/** @type {"product" | "order"} */ (name)] : name;
  for (const item of document.querySelectorAll("nav a")) {
    item.ariaCurrent = item.getAttribute("href") === `#${current}` ? "page" : null;
  }
}

/** Set the title of the page. Move the focus to the heading, as if a new page had been loaded; a page that
 * is really new has no focus yet.
 * @param {string} name @param {boolean} isFirst */
function announceSection(name, isFirst) {
  const heading = element(name).querySelector("h1");
  if (heading === null) return;
  document.title = `${heading.textContent} – Corner Coffee`;
  heading.tabIndex = -1;
  if (!isFirst) heading.focus({ preventScroll: true });
}

addEventListener("hashchange", () => attempt(showSection));
addEventListener("session-changed", () => attempt(() => SECTIONS[shown]?.(shownId)));
addEventListener("stock-changed", () => attempt(loadProducts));

await attempt(async () => {
  await restoreSession();
  await Promise.all([loadProducts(), restoreCart(), showSection()]);
});
