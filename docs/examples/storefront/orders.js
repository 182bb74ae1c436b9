// The list of the user's orders, and the page of one order with its timeline.

import { button, showMessage } from "./actions.js";
import { api, dataIfFound, dataOf, newKey, session } from "./api.js";
import { countryName } from "./countries.js";
import { create, element, emptyNote, factList, formatMoney, formatTime, link } from "./elements.js";

/** @typedef {import("./api.js").Schemas} Schemas */

const STATUS_TEXTS = {
  PENDING: "Waiting for payment",
  PAID: "Paid",
  SHIPPED: "Shipped",
  DELIVERED: "Delivered",
  CANCELLED: "Cancelled",
  RETURNED: "Returned",
};
/** @type {Record<string, string>} */
const EVENT_TEXTS = {
  PLACED: "Order placed",
  PAYMENT_CREATED: "Payment started",
  PAYMENT_SUCCEEDED: "Payment received",
  PAYMENT_FAILED: "Payment failed",
  PAYMENT_CANCELED: "Payment cancelled",
  PAYMENT_MISMATCHED: "Payment of another amount reported",
  PAYMENT_KEPT: "Payment kept",
  REFUND_CREATED: "Refund started",
  REFUND_SUCCEEDED: "Refund paid",
  REFUND_FAILED: "Refund failed",
  PERSONAL_DATA_ERASED: "Personal data erased",
};

export async function showOrders() {
  const list = element("order-list");
  if (session.user === undefined) {
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
  const number = create("h2", "", link(order.number, `#order/${order.id}`));
  const facts = create("p", "faint", formatTime(order.created_at), `, ${formatMoney(order.total)}`);
  const card = create("article", "card", create("div", "row", number, status), create("p", "", items), facts);
  if (order.amount_refunded.amount > 0) {
    card.append(create("p", "", `Refunded: ${formatMoney(order.amount_refunded)}`));
  }
  const shipment = shipmentOf(order);
  if (shipment !== "") card.append(create("p", "", `Shipment: ${shipment}`));
  card.append(...(await orderActions(order, showOrders)));
  return card;
}

/** @param {Schemas["Order"]} order */
function shipmentOf({ carrier, tracking_number }) {
  return [carrier, tracking_number].filter(Boolean).join(", ");
}

// --- One order ------------------------------------------------------------------------------------

/** Show the page of an order.
 * @param {string} id */
export async function showOrder(id) {
  const content = element("order-content");
  if (session.user === undefined) {
    content.replaceChildren(create("h1", "", "Order"), emptyNote("Sign in to see your order."));
    return;
  }
  const order = dataIfFound(await api.GET("/orders/{order_id}", { params: { path: { order_id: id } } }));
  const details = order === undefined ? [] : await orderDetails(order);
  if (location.hash !== `#order/${id}`) return; // left while it was loading
  if (details.length > 0) content.replaceChildren(...details);
  else content.replaceChildren(create("h1", "", "Not found"), emptyNote("You have no such order."));
}

/** @param {Schemas["Order"]} order */
async function orderDetails(order) {
  const [events, actions] = await Promise.all([
    allEvents(order.id),
    orderActions(order, () => showOrder(order.id)),
  ]);
  const title = create("h1", "", `Order ${order.number}`);
  const lines = order.items.map((item) => {
    const name = create("td", "", link(item.name, `#product/${item.product_id}`));
    const cells = [String(item.quantity), formatMoney(item.unit_price), formatMoney(item.subtotal)];
    return create("tr", "", name, ...cells.map((cell) => create("td", "", cell)));
  });
  const head = ["Product", "Quantity", "Unit price", "Price"].map((name) => create("th", "", name));
  const refunded = order.amount_refunded.amount > 0 ? formatMoney(order.amount_refunded) : null;
  const facts = factList([
    ["Status", STATUS_TEXTS[order.status]],
    ["Total", formatMoney(order.total)],
    ["Paid", formatMoney(order.amount_paid)],
    ["Refunded", refunded],
    ["Carrier", order.carrier],
    ["Tracking number", order.tracking_number],
    ["Delivery", order.shipping_address === null ? "Picked up in the shop" : addressText(order.shipping_address)],
    ["Note", order.note],
  ]);
  return [
    create("div", "row", title, create("span", "status", order.status)),
    create("div", "card", facts, ...actions),
    create("div", "card", create("table", "", create("tr", "", ...head), ...lines)),
    create("div", "card", create("h2", "", "Timeline"), timeline(events)),
    create("p", "", link("All my orders", "#orders")),
  ];
}

/** @param {NonNullable<Schemas["ShippingAddress"]>} address */
function addressText({ recipient, street, addition, postal_code, city, region, country }) {
  const town = [postal_code, city].filter(Boolean).join(" ");
  return [recipient, street, addition, town, region, countryName(country)].filter(Boolean).join("\n");
}

/** Return all events of an order, oldest first.
 * @param {string} orderId */
async function allEvents(orderId) {
  const events = /** @type {Schemas["OrderEvent"][]} */ ([]);
  const path = { order_id: orderId };
  /** @type {string | null} */
  let cursor = null;
  do {
    /** @type {{limit: number, cursor?: string}} */
    const query = { limit: 100, ...(cursor === null ? {} : { cursor }) };
    /** @type {Schemas["OrderEventPage"]} */
    const page = dataOf(await api.GET("/orders/{order_id}/events", { params: { path, query } }));
    events.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return events;
}

/** @param {Schemas["OrderEvent"][]} events */
function timeline(events) {
  const entries = events.map((event) => {
    const amount = event.amount === null ? "" : `: ${formatMoney(event.amount)}`;
    const entry = create("li", "", create("strong", "", eventText(event) + amount), " ", formatTime(event.created_at));
    if (event.reason !== null) entry.append(create("p", "faint", event.reason));
    return entry;
  });
  return create("ol", "timeline", ...entries);
}

/** Return what an event says. The contract may get types that this page does not know.
 * @param {Schemas["OrderEvent"]} event */
function eventText({ type, to_status, changes }) {
  if (type === "UPDATED" && changes.length > 0) {
    const texts = changes.map(({ member, before, after }) => {
      return `${member.replaceAll("_", " ")} ${before ?? "none"} → ${after ?? "none"}`;
    });
    return `Changed: ${texts.join(", ")}`;
  }
  return EVENT_TEXTS[type] ?? STATUS_TEXTS[to_status];
}

// --- Paying and cancelling ------------------------------------------------------------------------

/** Return the buttons for what the customer can do with an order, and a note if a payment was declined.
 * @param {Schemas["Order"]} order @param {() => Promise<void>} refresh */
async function orderActions(order, refresh) {
  const notes = [];
  const actions = create("p", "actions");
  if (order.status === "PENDING") {
    if (await wasDeclined(order)) notes.push(create("p", "error", "Your payment was declined. You can try again."));
    actions.append(button("Pay", () => payOrder(order, refresh)));
  }
  if (order.allowed_transitions.includes("CANCELLED")) {
    actions.append(button("Cancel order", () => cancelOrder(order, refresh), "secondary"));
  }
  for (const one of actions.children) one.setAttribute("aria-label", `${one.textContent} ${order.number}`);
  return [...notes, actions];
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
 * @param {Schemas["Order"]} order @param {() => Promise<void>} refresh */
async function payOrder(order, refresh) {
  const { redirect_url } = await startPayment(order);
  if (redirect_url === null) {
    // It was paid in the meantime, perhaps in another tab.
    await refresh();
    return;
  }
  const page = new URL(redirect_url, location.href);
  page.searchParams.set("return_to", `${location.pathname}${location.hash}`);
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

/** @param {Schemas["Order"]} order @param {() => Promise<void>} refresh */
async function cancelOrder(order, refresh) {
  const params = { path: { order_id: order.id } };
  dataOf(await api.POST("/orders/{order_id}/cancel", { params, body: {} }));
  showMessage(`Order ${order.number} is cancelled.`);
  await refresh();
  dispatchEvent(new Event("stock-changed"));
}
