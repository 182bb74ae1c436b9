// The products of the shop, those with the lowest stock first.

import { api, dataOf } from "./api.js";
import { create, showMessage, written } from "./elements.js";
import { filterForm, pagedList } from "./pages.js";
import { productActions } from "./product_actions.js";
import { money } from "./text.js";

/** @typedef {import("./api.js").Schemas} Schemas */
/** @typedef {Schemas["Product"]} Product */

const LOW_STOCK = 5;
const SORTS = /** @type {const} */ ({
  stock: "Lowest stock first",
  name: "Name",
  "-created_at": "Newest first",
  price: "Lowest price first",
  "-price": "Highest price first",
});

/** @param {HTMLElement} main @param {URLSearchParams} parameters */
export async function showProducts(main, parameters) {
  const list = pagedList({
    label: "Products",
    empty: "No products match these filters.",
    row: productRow,
    load: async (cursor) => {
      const params = { query: query(parameters, cursor) };
      const isArchive = parameters.get("show") === "archived";
      return dataOf(isArchive ? await api.GET("/products/archived", { params }) : await api.GET("/products", { params }));
    },
  });
  const filters = filterForm({
    route: "products",
    parameters,
    apply: list.show,
    fields: [
      { name: "q", label: "Search", type: "search", maxlength: 100 },
      { name: "show", label: "Show", type: "select", options: [["", "On sale"], ["archived", "Archived"]] },
      { name: "sort", label: "Sort by", type: "select", options: Object.entries(SORTS) },
    ],
  });
  main.append(
    create("p", { class: "actions under" }, create("a", { class: "button", href: "#/products/new" }, "New product")),
    filters,
    list.node,
  );
  await list.show();
}

/** @param {URLSearchParams} parameters @param {string | undefined} cursor */
function query(parameters, cursor) {
  const sort = parameters.get("sort") ?? "";
  const words = parameters.get("q");
  return {
    limit: 20,
    sort: sort in SORTS ? /** @type {keyof typeof SORTS} */ (sort) : /** @type {const} */ ("stock"),
    ...(words ? { q: words } : {}),
    ...(cursor ? { cursor } : {}),
  };
}

/** @param {number} stock */
export function stockLabel(stock) {
  if (stock === 0) return create("strong", { class: "none" }, "Sold out");
  if (stock < LOW_STOCK) return create("strong", { class: "low" }, `Only ${stock} in stock`);
  return create("span", {}, `${stock} in stock`);
}

/** A row of the list. After a change, it shows the changed product.
 * @param {Product} product */
function productRow(product) {
  const row = create("article", { class: "row", "data-sku": product.sku });
  /** @param {Product} changed */
  const show = (changed) => {
    row.replaceChildren(
      create(
        "div",
        {},
        create("h2", {}, create("a", { href: `#/products/${changed.id}` }, written(changed.name))),
        create("p", { class: "faint" }, changed.sku),
      ),
      create("div", { class: "figures" }, create("p", {}, stockLabel(changed.stock)), create("p", {}, money(changed.price))),
      productActions(changed, (next, text) => {
        show(next);
        showMessage(text);
      }),
    );
  };
  show(product);
  return row;
}
