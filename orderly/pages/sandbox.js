// The payment page of the sandbox: shows a payment, and sends the outcome that the customer chooses.
// The result arrives at the shop by a notification, so the page reads the payment until it has changed.

const POLL_MILLISECONDS = 400;
const TEXTS = {
  PROCESSING: "The bank is processing the payment. The money arrives in a few seconds.",
  SUCCEEDED: "The payment has succeeded.",
  FAILED: "The card was declined. Go back to the shop to try again.",
  CANCELED: "The payment was canceled.",
};

const api = new URL("../../api/v1/", location.href);
const paymentId = encodeURIComponent(location.pathname.split("/").pop() ?? "");
const address = new URL(location.href);
let isWaiting = false;
let polls = 0;

const element = (id) => document.getElementById(id);

/** Send a request; if the access cookie has expired, refresh the session and repeat the request. */
async function call(path, options) {
  const send = () => fetch(new URL(path, api), options);
  let response = await send();
  if (response.status === 401) {
    const refreshed = await fetch(new URL("auth/refresh", api), { method: "POST" });
    // 409: another tab has just refreshed the session.
    if (refreshed.ok || refreshed.status === 409) response = await send();
  }
  const body = await response.json();
  if (!response.ok) throw new Error(response.status === 401 ? "Sign in to the shop first." : body.detail);
  return body;
}

function format({ amount, currency }) {
  const numbers = new Intl.NumberFormat(undefined, { style: "currency", currency });
  return numbers.format(amount / 10 ** numbers.resolvedOptions().maximumFractionDigits);
}

function textWhileOpen(asksForConfirmation) {
  if (isWaiting) return "Waiting for the sandbox…";
  return asksForConfirmation ? "Your bank asks: did you make this payment?" : "Choose what happens to this payment.";
}

function show(payment) {
  const isOpen = payment.status === "PENDING";
  const asksForConfirmation = address.searchParams.get("step") === "confirm";
  element("amount").textContent = format(payment.amount);
  element("status").textContent = isOpen ? textWhileOpen(asksForConfirmation) : TEXTS[payment.status];
  element("status").dataset.status = payment.status;
  element("choose").hidden = !isOpen || asksForConfirmation;
  element("confirm").hidden = !isOpen || !asksForConfirmation;
  for (const button of document.querySelectorAll("button")) button.disabled = isWaiting;
}

async function load() {
  const payment = await call(`payments/${paymentId}`);
  if (payment.status !== "PENDING") isWaiting = false;
  show(payment);
  if (isWaiting || payment.status === "PROCESSING") {
    // First often, then more slowly: the worker may be switched off.
    setTimeout(attempt, POLL_MILLISECONDS * Math.min(1 + polls++ / 10, 10), load);
  }
  return payment;
}

async function choose(outcome) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ outcome });
  await call(`sandbox/payments/${paymentId}/settle`, { method: "POST", headers, body });
  if (outcome === "REQUIRE_ACTION") {
    // In the address, so that the question stays after a reload.
    address.searchParams.set("step", "confirm");
    history.replaceState(null, "", address);
  } else {
    isWaiting = true;
  }
  await load();
}

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    isWaiting = false;
    element("status").textContent = error.message;
    element("status").dataset.status = "ERROR";
  }
}

/** Return to the page that sent the customer here, if it belongs to this server. */
function setBackLink() {
  for (const target of [address.searchParams.get("return_to"), document.referrer]) {
    if (!target || !URL.canParse(target, location.href)) continue;
    const url = new URL(target, location.href);
    if (url.origin === location.origin && url.pathname !== location.pathname) {
      element("back").href = url.href;
      return;
    }
  }
}

for (const button of document.querySelectorAll("button")) {
  button.addEventListener("click", () => attempt(() => choose(button.dataset.outcome)));
}
setBackLink();
await attempt(async () => {
  const payment = await load();
  const order = await call(`orders/${payment.order_id}`);
  element("order").textContent = `Order ${order.number}`;
});
