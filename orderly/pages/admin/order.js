// One order: items, address, payments and timeline.

import { api, dataOf, idempotencyKeys } from "./api.js";
import { attempt, button, create, emptyNote, facts, showMessage, written } from "./elements.js";
import { ask, textOf } from "./forms.js";
import { customerOf, orderActions } from "./order_actions.js";
import { statusLabel } from "./orders.js";
import { currentUser } from "./session.js";
import { dateTime, money, parseAmount, typedAmount, words } from "./text.js";

/** @typedef {import("./api.js").Schemas} Schemas */
/** @typedef {Schemas["Order"]} Order */

/** @param {HTMLElement} main @param {URLSearchParams} _parameters @param {string} order_id */
export async function showOrder(main, _parameters, order_id) {
  const content = create("div");
  main.append(content);

  async function load() {
    const path = { order_id };
    const query = { limit: 100 };
    const [order, payments, events] = await Promise.all([
      api.GET("/orders/{order_id}", { params: { path } }).then(dataOf),
      api.GET("/orders/{order_id}/payments", { params: { path, query } }).then(dataOf),
      api.GET("/orders/{order_id}/events", { params: { path, query } }).then(dataOf),
    ]);
    const heading = main.querySelector("h1");
    if (heading !== null) heading.textContent = `Order ${order.number}`;
    content.replaceChildren(
      create("p", { class: "under" }, statusLabel(order.status), ` placed ${dateTime(order.created_at)}`),
      orderActions(order, () => attempt(load)),
      create("div", { class: "columns" }, itemsCard(order), detailsCard(order)),
      paymentsCard(order, payments.items, load),
      timelineCard(order, events.items, events.next_cursor !== null),
    );
  }
  await load();
}

/** @param {Order} order */
function itemsCard(order) {
  const rows = order.items.map((item) =>
    create(
      "tr",
      {},
      create("td", {}, create("a", { href: `#/products/${item.product_id}` }, written(item.name)), create("br"),
        create("span", { class: "faint" }, item.sku)),
      create("td", { class: "number" }, String(item.quantity)),
      create("td", { class: "number" }, money(item.subtotal)),
    ),
  );
  const head = ["Product", "Quantity", "Amount"].map((text, index) =>
    create("th", { scope: "col", class: index ? "number" : null }, text));
  const total = create("tr", {}, create("th", { scope: "row", colspan: 2 }, "Total"),
    create("td", { class: "number" }, create("strong", {}, money(order.total))));
  return create(
    "section",
    { class: "card" },
    create("h2", {}, "Items"),
    create("table", {}, create("thead", {}, create("tr", {}, ...head)), create("tbody", {}, ...rows), create("tfoot", {}, total)),
  );
}

/** @param {Order} order */
function detailsCard(order) {
  const customer = order.customer;
  const link = customer === undefined ? customerOf(order)
    : create("a", { href: `#/customers/${customer.id}` }, written(customer.name));
  return create(
    "section",
    { class: "card" },
    create("h2", {}, "Details"),
    facts([
      ["Customer", link],
      ["Email", customer === undefined ? "none" : written(customer.email)],
      ["Ship to", address(order.shipping_address)],
      ["Note", order.note === null ? "none" : written(order.note)],
      ["Tracking number", order.tracking_number ?? "none"],
      ["Carrier", order.carrier === null ? "none" : written(order.carrier)],
      ["Payment", words(order.payment_status)],
      ...(order.expires_at === null ? [] : [/** @type {[string, string]} */ (["Unpaid orders expire", dateTime(order.expires_at)])]),
    ]),
  );
}

/** @param {Order["shipping_address"]} given */
function address(given) {
  if (given === null) return "none";
  const city = [given.postal_code, given.city].filter(Boolean).join(" ");
  const lines = [given.recipient, given.street, given.addition, city, given.region, given.country];
  return create("address", {}, ...lines.flatMap((line) => (line ? [written(line), create("br")] : [])));
}

/** @param {Order} order @param {Schemas["Payment"][]} payments @param {() => Promise<void>} reload */
function paymentsCard(order, payments, reload) {
  const rows = payments.map((payment) => {
    const left = payment.amount.amount - payment.amount_refunded.amount;
    const how = [payment.provider, payment.method === null ? "" : words(payment.method).toLowerCase(), payment.reference]
      .filter(Boolean).join(", ");
    return create(
      "li",
      {},
      create("strong", {}, money(payment.amount)),
      ` ${words(payment.status).toLowerCase()}, `,
      written(how),
      payment.amount_refunded.amount > 0 ? `, ${money(payment.amount_refunded)} refunded` : "",
      ` (${dateTime(payment.created_at)}) `,
      payment.status === "SUCCEEDED" && left > 0
        ? button("Refund…", () => askForRefund(payment, left, reload),
          { class: "secondary small", "aria-label": `Refund… ${money(payment.amount)}` })
        : null,
    );
  });
  const paid = `${money(order.amount_paid)} paid, ${money(order.amount_refunded)} refunded, of ${money(order.total)}.`;
  return create(
    "section",
    { class: "card" },
    create("h2", {}, "Payments"),
    rows.length === 0 ? emptyNote("There are no payments yet.") : create("ul", { class: "plain" }, ...rows),
    create("p", { class: "faint" }, paid),
  );
}

/** @param {Schemas["Payment"]} payment @param {number} left @param {() => Promise<void>} reload */
async function askForRefund(payment, left, reload) {
  const { currency } = payment.amount;
  const keyFor = idempotencyKeys();
  await ask({
    title: "Refund a payment",
    text: `Up to ${money({ amount: left, currency })} of this payment can be refunded.`,
    fields: [
      { name: "amount", label: `Amount in ${currency}`, required: true, maxlength: 16, value: typedAmount({ amount: left, currency }) },
      { name: "reason", label: "Reason (optional)", type: "textarea", maxlength: 500 },
    ],
    submit: "Refund",
    danger: true,
    action: async (form) => {
      const amount = parseAmount(textOf(form, "amount") ?? "", currency);
      const reason = textOf(form, "reason");
      const body = { amount: { amount, currency: payment.amount.currency }, ...(reason ? { reason } : {}) };
      const params = { path: { payment_id: payment.id }, header: { "Idempotency-Key": keyFor(body) } };
      const refund = dataOf(await api.POST("/payments/{payment_id}/refunds", { params, body }));
      await reload();
      showMessage(`Refund of ${money(refund.amount)}: ${words(refund.status).toLowerCase()}.`);
    },
  });
}

/** @param {Order} order @param {Schemas["OrderEvent"][]} events @param {boolean} hasMore */
function timelineCard(order, events, hasMore) {
  const rows = events.map((event) => {
    const what = event.type === "STATUS_CHANGED" ? `${words(event.from_status ?? "")} → ${words(event.to_status)}` : words(event.type);
    const changes = event.changes.map(({ member, before, after }) =>
      create("p", {}, `${words(member)}: `, written(before ?? "none"), " → ", written(after ?? "none")));
    return create(
      "li",
      {},
      create("strong", {}, what),
      event.amount === null ? "" : ` ${money(event.amount)}`,
      create("span", { class: "faint" }, ` ${dateTime(event.created_at)}, by ${actorName(event.actor, order)}`),
      event.reason === null ? null : create("p", {}, written(event.reason)),
      ...changes,
    );
  });
  return create(
    "section",
    { class: "card" },
    create("h2", {}, "Timeline"),
    create("ol", { class: "plain timeline" }, ...rows),
    hasMore ? create("p", { class: "faint" }, "Only the first 100 events are shown.") : null,
  );
}

/** @param {Schemas["OrderEventActor"]} actor @param {Order} order */
function actorName(actor, order) {
  if (actor.kind === "SYSTEM") return "the shop";
  if (actor.kind === "PROVIDER") return "the payment provider";
  if (actor.user_id === order.user_id) return "the customer";
  return actor.user_id === currentUser()?.id ? "you" : "an administrator";
}
