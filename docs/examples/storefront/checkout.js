// The order form: a shipping address, or pick-up in the shop.

import { onSubmit, showMessage } from "./actions.js";
import { ProblemError, api, dataOf, session } from "./api.js";
import { cartToOrder, removeFromCart, restoreCart, showCart } from "./cart.js";
import { COUNTRY_CODES, countryName } from "./countries.js";
import { recall, remember } from "./device.js";
import { create, element, formatMoney } from "./elements.js";

/** @typedef {import("./api.js").Schemas} Schemas */

const form = element("checkout-form", HTMLFormElement);
const fields = element("address-fields", HTMLFieldSetElement);
const rememberAddress = element("remember-address", HTMLInputElement);

/** @param {FormData} data */
async function placeOrder(data) {
  if (session.user === undefined) {
    dispatchEvent(new Event("sign-in-needed"));
    return;
  }
  const cart = cartToOrder();
  if (cart === undefined) {
    await restoreCart();
    showMessage("Your cart was changed in another tab. Check it, then place the order.", "bad");
    return;
  }
  const address = shippingAddress(data);
  if (address !== null) storeAddress(address);
  const order = await createOrder(cart, address);
  removeFromCart(cart.items);
  location.hash = "orders";
  showMessage(`Thank you! Your order ${order.number} for ${formatMoney(order.total)} is placed.`);
  dispatchEvent(new Event("stock-changed"));
}

/** @param {{key: string, items: Schemas["OrderRequest"]["items"]}} cart
 * @param {Schemas["OrderRequestAddress"]} shipping_address */
async function createOrder({ key, items }, shipping_address) {
  for (const input of inputs()) input.removeAttribute("aria-invalid");
  try {
    return dataOf(
      await api.POST("/orders", {
        params: { header: { "Idempotency-Key": key } },
        body: { items, shipping_address },
      }),
    );
  } catch (error) {
    if (error instanceof ProblemError) markInvalidFields(error.problem);
    throw error;
  }
}

/** @param {Schemas["Problem"]} problem */
function markInvalidFields(problem) {
  const pointers = (problem.errors ?? []).map((error) => error.pointer);
  const invalid = inputs().filter((input) => pointers.includes(`/shipping_address/${input.name}`));
  for (const input of invalid) input.setAttribute("aria-invalid", "true");
  invalid[0]?.focus();
}

/** Return the address in the form; null if the order will be picked up.
 * @param {FormData} data
 * @returns {Schemas["OrderRequestAddress"]} */
function shippingAddress(data) {
  if (data.get("delivery") === "pick-up") return null;
  const text = (/** @type {string} */ name) => String(data.get(name) ?? "").trim();
  const optional = (/** @type {"addition" | "postal_code" | "region"} */ name) =>
    text(name) ? { [name]: text(name) } : {};
  return {
    recipient: text("recipient"),
    street: text("street"),
    ...optional("addition"),
    ...optional("postal_code"),
    city: text("city"),
    ...optional("region"),
    country: text("country"),
  };
}

// --- The address that this device remembers -------------------------------------------------------

/** @param {NonNullable<Schemas["OrderRequestAddress"]>} address */
function storeAddress(address) {
  remember("address", rememberAddress.checked ? new URLSearchParams(address).toString() : null);
}

function restoreAddress() {
  const stored = recall("address");
  rememberAddress.checked = stored !== null;
  const address = new URLSearchParams(stored ?? "");
  for (const input of inputs()) input.value = address.get(input.name) ?? "";
}

export function forgetAddress() {
  remember("address", null);
  restoreAddress();
}

// --- The form -------------------------------------------------------------------------------------

/** Return the fields of the address. */
function inputs() {
  const found = /** @type {NodeListOf<HTMLInputElement | HTMLSelectElement>} */ (
    fields.querySelectorAll("input:not([type=checkbox]), select")
  );
  return [...found];
}

function showCountries() {
  const countries = COUNTRY_CODES.map((code) => ({ code, name: countryName(code) }));
  countries.sort((one, other) => one.name.localeCompare(other.name));
  for (const { code, name } of countries) {
    const option = create("option", "", name);
    option.value = code;
    element("country").append(option);
  }
}

function showFields() {
  const isPickedUp = new FormData(form).get("delivery") === "pick-up";
  fields.hidden = isPickedUp;
  fields.disabled = isPickedUp; // so its empty fields are valid
}

showCountries();
restoreAddress();
showFields();
form.addEventListener("change", showFields);
// Unticked: forget the address at once, not only with the next order.
rememberAddress.addEventListener("change", () => {
  if (!rememberAddress.checked) remember("address", null);
});
onSubmit("checkout-form", placeOrder);
showCart();
