// The orders of the shop, by status.

import { api, dataOf, PageError } from "./api.js";
import { create, written } from "./elements.js";
import { customerOf, orderActions, unitsOf } from "./order_actions.js";
import { filterForm, pagedList } from "./pages.js";
import { dateTime, money, words } from "./text.js";

/** @typedef {import("./api.js").Schemas} Schemas */

/** @type {Schemas["OrderStatus"][]} */
const STATUSES = ["PENDING", "PAID", "SHIPPED", "DELIVERED", "CANCELLED", "RETURNED"];
const SORTS = /** @type {const} */ ({
  "-created_at": "Newest first",
  created_at: "Oldest first",
  "-total": "Highest total first",
  total: "Lowest total first",
});

/** @param {HTMLElement} main @param {URLSearchParams} parameters */
export async function showOrders(main, parameters) {
  const list = pagedList({
    label: "Orders",
    empty: "No orders match these filters.",
    row: orderRow,
    load: async (cursor) => dataOf(await api.GET("/orders", { params: { query: query(parameters, cursor) } })),
  });
  const filters = filterForm({
    route: "orders",
    parameters,
    apply: list.show,
    fields: [
      {
        name: "status",
        label: "Status",
        type: "select",
        options: [["", "All"], ...STATUSES.map((status) => /** @type {[string, string]} */ ([status, words(status)]))],
      },
      { name: "q", label: "Number", type: "search", maxlength: 20 },
      { name: "sort", label: "Sort by", type: "select", options: Object.entries(SORTS) },
    ],
  });
  main.append(filters, list.node);
  await list.show();
}

/** @param {URLSearchParams} parameters @param {string | undefined} cursor */
function query(parameters, cursor) {
  const status = STATUSES.find((one) => one === parameters.get("status"));
  const sort = parameters.get("sort") ?? "-created_at";
  const number = parameters.get("q");
  if (number !== null && !/^[0-9A-Za-z -]+$/.test(number)) {
    throw new PageError("A number has only letters, digits and hyphens, such as ORD-7K3M-9Q2X.");
  }
  return {
    limit: 20,
    sort: sort in SORTS ? /** @type {keyof typeof SORTS} */ (sort) : "-created_at",
    ...(status ? { status: [status] } : {}),
    ...(number ? { q: number } : {}),
    ...(cursor ? { cursor } : {}),
  };
}

/** @param {string} status */
export function statusLabel(status) {
  return create("span", { class: "status", "data-status": status }, words(status));
}

/** A row of a list of orders. After a change, it shows the changed order.
 * @param {Schemas["Order"]} order */
export function orderRow(order) {
  const row = create("article", { class: "row order", "data-number": order.number });
  /** @param {Schemas["Order"]} changed */
  const show = (changed) => {
    row.replaceChildren(
      create(
        "div",
        { class: "main" },
        create("h2", {}, create("a", { href: `#/orders/${changed.id}` }, changed.number)),
        create("p", {}, written(customerOf(changed))),
        create("p", { class: "faint" }, written(unitsOf(changed))),
      ),
      create(
        "div",
        { class: "figures" },
        create("p", {}, statusLabel(changed.status), " ", create("strong", {}, money(changed.total))),
        create("p", { class: "faint" }, dateTime(changed.created_at)),
        changed.tracking_number === null ? null : create("p", { class: "faint" }, `Tracking: ${changed.tracking_number}`),
      ),
      orderActions(changed, show),
    );
  };
  show(order);
  return row;
}
