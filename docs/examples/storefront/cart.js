// The cart. The device remembers it, so it outlives a reload, and all tabs share it: each change starts
// from what is stored, not from what this tab shows.

import { attempt, button, showMessage } from "./actions.js";
import { fetchProduct, knownProducts, newKey } from "./api.js";
import { recall, remember } from "./device.js";
import { create, element, emptyNote, formatMoney, link } from "./elements.js";

/** @typedef {import("./api.js").Schemas} Schemas */
/** A line of the stored cart. The name is for a message if the product is no longer sold.
 * @typedef {{quantity: number, name: string}} Line */

const MAX_QUANTITY = 10000;
const LINE = /^([0-9a-f-]{36}) ([0-9]{1,5}) (.*)$/;
/** The stored text of the cart that this tab shows. */
let shown = recall("cart");

/** Return the stored cart. It is a text: the idempotency key of the order that it becomes, then a line
 * for each product. */
function readCart() {
  const [key = "", ...texts] = (recall("cart") ?? "").split("\n");
  const lines = /** @type {Map<string, Line>} */ (new Map());
  for (const text of /^[0-9a-f]{32}$/.test(key) ? texts : []) {
    const [, id, quantity, name = ""] = LINE.exec(text) ?? [];
    if (id !== undefined) lines.set(id, { quantity: Number(quantity), name });
  }
  return { key, lines };
}

/** Change the stored cart. A changed cart is a different order, so it needs a new idempotency key.
 * @param {(lines: Map<string, Line>) => void} change */
function changeCart(change) {
  const { lines } = readCart();
  change(lines);
  const texts = [...lines].map(([id, { quantity, name }]) => `${id} ${quantity} ${name}`);
  remember("cart", texts.length > 0 ? [newKey(), ...texts].join("\n") : null);
  showCart();
}

/** @param {Schemas["Product"]} product @param {number} quantity */
export function addToCart(product, quantity) {
  changeQuantity(product, (before) => before + quantity);
  showMessage(`${product.name} is in your cart.`);
}

/** @param {Schemas["Product"]} product @param {(before: number) => number} change */
function changeQuantity({ id, name }, change) {
  changeCart((lines) => {
    const quantity = Math.min(change(lines.get(id)?.quantity ?? 0), MAX_QUANTITY);
    if (quantity > 0) lines.set(id, { quantity, name });
    else lines.delete(id);
  });
}

/** Read the products of the stored cart: their prices and stock may have changed. Remove products that
 * are no longer sold. */
export async function restoreCart() {
  const { lines } = readCart();
  const gone = /** @type {string[]} */ ([]);
  const restore = async (/** @type {string} */ id) => {
    if ((await fetchProduct(id)) === undefined) gone.push(id);
  };
  await Promise.all([...lines.keys()].map(restore));
  if (gone.length === 0) {
    showCart();
    return;
  }
  changeCart((stored) => gone.forEach((id) => stored.delete(id)));
  const names = gone.map((id) => lines.get(id)?.name).join(", ");
  showMessage(`No longer sold, and removed from your cart: ${names}`, "bad");
}

/** Return the cart that is shown, as the lines of an order and its idempotency key; undefined if another
 * tab has changed it. */
export function cartToOrder() {
  if (recall("cart") !== shown) return undefined;
  const { key, lines } = readCart();
  return { key, items: [...lines].map(([product_id, { quantity }]) => ({ product_id, quantity })) };
}

/** Remove what was ordered. What another tab has added in the meantime stays.
 * @param {Schemas["OrderRequest"]["items"]} items */
export function removeFromCart(items) {
  changeCart((lines) => {
    for (const { product_id, quantity } of items) {
      const line = lines.get(product_id);
      if (line === undefined) continue;
      line.quantity -= quantity;
      if (line.quantity <= 0) lines.delete(product_id);
    }
  });
}

export function clearCart() {
  remember("cart", null);
  showCart();
}

export function showCart() {
  shown = recall("cart");
  const lines = [...readCart().lines];
  const focused = document.activeElement?.id ?? "";
  element("cart-count").textContent = String(lines.reduce((sum, [, { quantity }]) => sum + quantity, 0));
  element("checkout-form").hidden = lines.length === 0;
  element("cart-content").replaceChildren(cartContent(lines));
  if (focused.startsWith("quantity-")) document.getElementById(focused)?.focus();
}

/** @param {[string, Line][]} lines */
function cartContent(lines) {
  if (lines.length === 0) return emptyNote("Your cart is empty.");
  const found = lines.flatMap(([id, { quantity }]) => {
    const product = knownProducts.get(id);
    return product === undefined ? [] : [{ product, quantity }];
  });
  const [first] = found;
  if (first === undefined || found.length < lines.length) return emptyNote("Your cart is loading.");
  const amount = found.reduce((sum, { product, quantity }) => sum + product.price.amount * quantity, 0);
  const head = ["Product", "Quantity", "Price"].map((name) => create("th", "", name));
  const table = create("table", "", create("tr", "", ...head), ...found.map(cartRow));
  const total = create("strong", "price", formatMoney({ ...first.product.price, amount }));
  return create("div", "card", table, create("p", "row", "Total", total));
}

/** @param {{product: Schemas["Product"], quantity: number}} line */
function cartRow({ product, quantity }) {
  const input = create("input", "");
  const max = String(MAX_QUANTITY);
  Object.assign(input, { id: `quantity-${product.id}`, type: "number", min: "0", max, value: String(quantity) });
  input.setAttribute("aria-label", `Quantity of ${product.name}`);
  input.addEventListener("change", () => changeQuantity(product, () => Math.floor(Number(input.value)) || 0));
  const subtotal = { ...product.price, amount: product.price.amount * quantity };
  const name = create("td", "", link(product.name, `#product/${product.id}`));
  if (quantity > product.stock) {
    const text = product.stock === 0 ? "Sold out" : `Only ${product.stock} left`;
    name.append(create("div", "stock low", text));
  }
  const remove = button("Remove", () => removeLine(product), "secondary");
  remove.setAttribute("aria-label", `Remove ${product.name}`);
  name.append(create("div", "", remove));
  return create("tr", "", name, create("td", "", input), create("td", "", formatMoney(subtotal)));
}

/** @param {Schemas["Product"]} product */
function removeLine(product) {
  changeQuantity(product, () => 0);
  showMessage(`${product.name} is no longer in your cart.`);
  element("cart-heading").focus(); // the button is gone
}

addEventListener("storage", (event) => {
  if (event.key !== "cart" && event.key !== null) return; // null: everything was deleted
  void attempt(async () => {
    showMessage("Your cart was changed in another tab.");
    await restoreCart();
  });
});
