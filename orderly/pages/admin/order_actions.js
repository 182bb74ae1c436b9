// What an administrator can do with an order: one button for each status in `allowed_transitions`.

import { api, dataOf, hasCode, PageError, versionOf } from "./api.js";
import { button, create, showMessage } from "./elements.js";
import { ask, textOf } from "./forms.js";
import { money, words } from "./text.js";

/** @typedef {import("./api.js").Schemas} Schemas */
/** @typedef {Schemas["Order"]} Order */
/** @typedef {Schemas["OrderStatus"]} Status */
/** @typedef {(order: Order) => unknown} OnChange */
/** @typedef {{order_id: string, etag: string}} Version */
/** @typedef {{label: string, text: (order: Order) => string, submit: string, danger?: boolean,
 *   fields?: import("./forms.js").Field[], send: (version: Version, form: FormData) => Promise<Order>}} Transition */

const REASON = { name: "reason", label: "Reason (optional)", type: "textarea", maxlength: 500 };
/** @type {import("./forms.js").Field} */
const TRACKING = { name: "tracking_number", label: "Tracking number (optional)", maxlength: 64 };

/** @type {Record<string, Transition>} */
const TRANSITIONS = {
  PAID: {
    label: "Mark as paid…",
    text: (order) => `Records a payment by hand of the outstanding balance, of the total ${money(order.total)}.`,
    submit: "Mark as paid",
    fields: [REASON],
    send: setStatus("PAID"),
  },
  SHIPPED: {
    label: "Ship…",
    text: (order) => `${unitsOf(order)}, for ${customerOf(order)}.`,
    submit: "Ship",
    fields: [TRACKING],
    send: setStatus("SHIPPED"),
  },
  DELIVERED: {
    label: "Mark as delivered…",
    text: () => "The order has reached the customer.",
    submit: "Mark as delivered",
    send: setStatus("DELIVERED"),
  },
  RETURNED: {
    label: "Record a return…",
    text: (order) => `${unitsOf(order)} go back into stock. Refund the payments separately.`,
    submit: "Record the return",
    fields: [REASON],
    send: setStatus("RETURNED"),
  },
  CANCELLED: {
    label: "Cancel…",
    text: (order) => `${unitsOf(order)} go back into stock. Payments are refunded.`,
    submit: "Cancel the order",
    danger: true,
    fields: [REASON, { name: "keep_payment", label: "Do not refund the payments", type: "checkbox" }],
    send: cancel,
  },
};

/** Return the buttons for an order.
 * @param {Order} order @param {OnChange} onChange */
export function orderActions(order, onChange) {
  const buttons = order.allowed_transitions.map((status, index) => {
    const transition = TRANSITIONS[status];
    if (transition === undefined) return null; // a status that this page does not know yet
    const look = { class: index === 0 && !transition.danger ? null : "secondary" };
    const name = { "aria-label": `${transition.label} ${order.number}` };
    return button(transition.label, () => askFor(status, transition, order, onChange), { ...look, ...name });
  });
  if (order.status === "SHIPPED") {
    const name = { class: "secondary", "aria-label": `Tracking… ${order.number}` };
    buttons.push(button("Tracking…", () => askForTracking(order, onChange), name));
  }
  return create("div", { class: "actions" }, ...buttons);
}

/** Ask for the details of a transition, with the order as it is now: a list can be old.
 * @param {Status} status @param {Transition} transition @param {Order} listed @param {OnChange} onChange */
async function askFor(status, transition, listed, onChange) {
  const current = await load(listed.id);
  if (!current.data.allowed_transitions.includes(status)) {
    await onChange(current.data);
    throw new PageError(`${listed.number} is ${words(current.data.status).toLowerCase()} by now. It is shown as it is.`);
  }
  await ask({
    title: `${transition.submit}: ${listed.number}`,
    text: transition.text(current.data),
    fields: transition.fields ?? [],
    submit: transition.submit,
    danger: transition.danger ?? false,
    action: sendOnce(current, transition.send, onChange),
  });
}

/** @param {Order} listed @param {OnChange} onChange */
async function askForTracking(listed, onChange) {
  const current = await load(listed.id);
  await ask({
    title: `Tracking: ${listed.number}`,
    fields: [
      { ...TRACKING, value: current.data.tracking_number ?? "" },
      { name: "carrier", label: "Carrier (optional)", maxlength: 64, value: current.data.carrier ?? "" },
    ],
    submit: "Save",
    action: sendOnce(current, updateTracking, onChange),
  });
}

/** Return the action of a dialog that sends a change of the version that the user has seen. After a 412, it
 * shows what has changed, and the next attempt applies to the new version.
 * @param {{data: Order, etag: string}} seen @param {Transition["send"]} send @param {OnChange} onChange */
function sendOnce(seen, send, onChange) {
  /** @param {FormData} form */
  return async (form) => {
    try {
      const order = await send({ order_id: seen.data.id, etag: seen.etag }, form);
      await onChange(order);
      showMessage(`${order.number}: ${words(order.status).toLowerCase()}.`);
    } catch (error) {
      if (!hasCode(error, "precondition_failed")) throw error;
      const before = seen.data;
      seen = await load(before.id);
      await onChange(seen.data);
      throw new PageError(
        `Someone else has changed this order since you opened it. You saw: ${summary(before)}. Now: ${summary(seen.data)}. Send again to apply your change to the order as it is now, or close.`,
      );
    }
  };
}

/** @param {Order} order */
function summary(order) {
  const tracking = order.tracking_number === null ? "no tracking number" : `tracking number ${order.tracking_number}`;
  return `${words(order.status)}, ${words(order.payment_status).toLowerCase()}, ${tracking}`;
}

/** @param {string} order_id */
async function load(order_id) {
  return versionOf(await api.GET("/orders/{order_id}", { params: { path: { order_id } } }));
}

/** @param {Status} status @returns {Transition["send"]} */
function setStatus(status) {
  return async ({ order_id, etag }, form) => {
    const tracking = textOf(form, "tracking_number");
    const reason = textOf(form, "reason");
    const body = { status, ...(tracking ? { tracking_number: tracking } : {}), ...(reason ? { reason } : {}) };
    const params = { path: { order_id }, header: { "If-Match": etag } };
    return dataOf(await api.PUT("/orders/{order_id}/status", { params, body }));
  };
}

/** @type {Transition["send"]} */
async function cancel({ order_id, etag }, form) {
  const reason = textOf(form, "reason");
  const body = { ...(reason ? { reason } : {}), ...(form.has("keep_payment") ? { keep_payment: true } : {}) };
  const params = { path: { order_id }, header: { "If-Match": etag } };
  return dataOf(await api.POST("/orders/{order_id}/cancel", { params, body }));
}

/** @type {Transition["send"]} */
async function updateTracking({ order_id, etag }, form) {
  const body = { tracking_number: textOf(form, "tracking_number") ?? null, carrier: textOf(form, "carrier") ?? null };
  const params = { path: { order_id }, header: { "If-Match": etag } };
  return dataOf(await api.PATCH("/orders/{order_id}", { params, body }));
}

/** @param {Order} order */
export function unitsOf(order) {
  return order.items.map((item) => `${item.quantity} × ${item.name}`).join(", ");
}

/** @param {Order} order */
export function customerOf(order) {
  return order.customer?.name ?? "a customer whose account is deleted";
}
