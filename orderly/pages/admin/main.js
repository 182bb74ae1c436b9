// The administration of a shop: one page, no framework. The address behind `#` chooses the view.

import { attempt, clearMessage, create, element } from "./elements.js";
import { showCustomer, showCustomers } from "./customers.js";
import { showFiles } from "./files.js";
import { showOrder } from "./order.js";
import { showOrders } from "./orders.js";
import { showNewProduct, showProduct } from "./product.js";
import { showProducts } from "./products.js";
import { showSecurityLog } from "./security.js";
import { start } from "./session.js";

/** @typedef {{title: string, show: (main: HTMLElement, parameters: URLSearchParams, id: string) =>
 *   Promise<void>}} View */

/** @type {[RegExp, View][]} */
const VIEWS = [
  [/^orders$/, { title: "Orders", show: showOrders }],
  [/^orders\/([0-9a-f-]{36})$/, { title: "Order", show: showOrder }],
  [/^products$/, { title: "Products", show: showProducts }],
  [/^products\/new$/, { title: "New product", show: showNewProduct }],
  [/^products\/([0-9a-f-]{36})$/, { title: "Product", show: showProduct }],
  [/^files$/, { title: "Import and export", show: showFiles }],
  [/^customers$/, { title: "Customers", show: showCustomers }],
  [/^customers\/([0-9a-f-]{36})$/, { title: "Customer", show: showCustomer }],
  [/^security$/, { title: "Security log", show: showSecurityLog }],
];

/** Show the view of the address. It is built outside the page first: a slow view that the user has left
 * must not replace the next one. */
async function showView() {
  const [path = "", query] = location.hash.replace(/^#\//, "").split("?");
  for (const [pattern, view] of VIEWS) {
    const match = pattern.exec(path);
    if (match !== null) return open(view, path, new URLSearchParams(query), match[1] ?? "");
  }
  location.replace("#/orders");
}

let opened = 0;

/** @param {View} view @param {string} path @param {URLSearchParams} parameters @param {string} id */
async function open(view, path, parameters, id) {
  const opening = ++opened;
  const main = element("main");
  const content = create("div", {}, create("h1", { tabindex: -1 }, view.title));
  markCurrent(path);
  main.setAttribute("aria-busy", "true");
  clearMessage();
  await attempt(() => view.show(content, parameters, id));
  if (opening !== opened) return;
  main.replaceChildren(content);
  main.removeAttribute("aria-busy");
  const heading = content.querySelector("h1");
  document.title = `${heading?.textContent ?? view.title} · Orderly administration`;
  heading?.focus({ preventScroll: true });
  scrollTo(0, 0);
}

/** @param {string} path */
function markCurrent(path) {
  for (const link of element("views").querySelectorAll("a")) {
    const isCurrent = path.startsWith((link.getAttribute("href") ?? "").slice(2));
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

element("skip").addEventListener("click", (event) => {
  event.preventDefault();
  element("main").focus();
});
addEventListener("hashchange", () => void attempt(showView));
await attempt(async () => {
  await start();
  await showView();
});
