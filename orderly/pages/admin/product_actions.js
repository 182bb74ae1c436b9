// What an administrator can do with a product besides editing it: adjust its stock, archive and restore it.

import { api, dataOf, hasCode, idempotencyKeys, PageError, versionOf } from "./api.js";
import { button, create } from "./elements.js";
import { ask, textOf } from "./forms.js";
import { words } from "./text.js";

/** @typedef {import("./api.js").Schemas} Schemas */
/** @typedef {Schemas["Product"]} Product */
/** @typedef {(product: Product, text: string) => unknown} OnChange */

const REASONS = /** @type {const} */ (["RECEIVED", "COUNTED", "DAMAGED", "LOST", "FOUND", "CORRECTION"]);
const MAX_STOCK = 2147483647;

/** Return the buttons for a product.
 * @param {Product} product @param {OnChange} onChange */
export function productActions(product, onChange) {
  const archive = product.archived_at === null
    ? button("Archive…", () => askToArchive(product, onChange), named("Archive…", product))
    : button("Restore", () => restore(product, onChange), named("Restore", product));
  return create(
    "div",
    { class: "actions" },
    button("Adjust stock…", () => askForDifference(product, onChange), named("Adjust stock…", product)),
    button("Count…", () => askForCount(product, onChange), named("Count…", product)),
    archive,
  );
}

/** @param {string} label @param {Product} product */
function named(label, product) {
  return { class: "secondary", "aria-label": `${label} ${product.sku}` };
}

/** @param {string} product_id */
export async function loadProduct(product_id) {
  return versionOf(await api.GET("/products/{product_id}", { params: { path: { product_id } } }));
}

/** Archived products have no other address than the list of archived products: only their stock changes.
 * @param {Product} product @param {number} stock */
async function afterAdjustment(product, stock) {
  return product.archived_at === null ? (await loadProduct(product.id)).data : { ...product, stock };
}

/** @param {Product} product @param {OnChange} onChange */
async function askForDifference(product, onChange) {
  const keyFor = idempotencyKeys();
  await ask({
    title: `Adjust the stock of ${product.sku}`,
    text: `${product.name}. In stock: ${product.stock}.`,
    fields: [
      { name: "delta", label: "Difference", type: "number", required: true, min: -1000000, max: 1000000, hint: "Such as 12 for a delivery, or -3 for three broken units." },
      reasonField("RECEIVED"),
    ],
    submit: "Adjust the stock",
    action: async (form) => {
      const delta = Number(form.get("delta"));
      if (delta === 0) throw new PageError("The difference must not be 0.");
      await onChange(...(await adjust(product, { delta, reason: reasonOf(form) }, keyFor)));
    },
  });
}

/** Set the stock to a counted quantity. If it has changed since the count, the user decides.
 * @param {Product} product @param {OnChange} onChange */
async function askForCount(product, onChange) {
  const keyFor = idempotencyKeys();
  let expected = product.stock;
  await ask({
    title: `Count the stock of ${product.sku}`,
    text: `${product.name}. The stock should be ${product.stock}. If it changes while you count, you are asked again.`,
    fields: [
      { name: "set_to", label: "Counted units", type: "number", required: true, min: 0, max: MAX_STOCK },
      reasonField("COUNTED"),
    ],
    submit: "Set the stock",
    action: async (form) => {
      const set_to = Number(form.get("set_to"));
      try {
        await onChange(...(await adjust(product, { set_to, expected, reason: reasonOf(form) }, keyFor)));
      } catch (error) {
        if (!hasCode(error, "stock_not_as_expected") || product.archived_at !== null) throw error;
        const before = expected;
        expected = (await loadProduct(product.id)).data.stock;
        throw new PageError(
          `The stock has changed from ${before} to ${expected} since you opened this. Count again if units were sold while you counted. Send again to set the stock from ${expected} to ${set_to}.`,
        );
      }
    },
  });
}

/** @param {Product} product @param {Schemas["StockAdjustment"]} body @param {(body: unknown) => string} keyFor
 * @returns {Promise<[Product, string]>} */
async function adjust(product, body, keyFor) {
  const params = { path: { product_id: product.id }, header: { "Idempotency-Key": keyFor(body) } };
  const movement = dataOf(await api.POST("/products/{product_id}/stock-adjustments", { params, body }));
  return [await afterAdjustment(product, movement.stock_after), `${product.sku}: the stock is now ${movement.stock_after}.`];
}

/** @param {string} value @returns {import("./forms.js").Field} */
function reasonField(value) {
  return { name: "reason", label: "Reason", type: "select", value, options: REASONS.map((one) => [one, words(one)]) };
}

/** @param {FormData} form */
function reasonOf(form) {
  return REASONS.find((one) => one === textOf(form, "reason")) ?? "CORRECTION";
}

/** @param {Product} product @param {OnChange} onChange */
async function askToArchive(product, onChange) {
  await ask({
    title: `Archive ${product.sku}`,
    text: `${product.name} is then no longer listed and cannot be ordered. You can restore it.`,
    submit: "Archive",
    danger: true,
    action: async () => {
      dataOf(await api.DELETE("/products/{product_id}", { params: { path: { product_id: product.id } } }));
      await onChange({ ...product, archived_at: new Date().toISOString() }, `${product.sku} is archived.`);
    },
  });
}

/** @param {Product} product @param {OnChange} onChange */
async function restore(product, onChange) {
  const params = { path: { product_id: product.id } };
  await onChange(dataOf(await api.POST("/products/{product_id}/restore", { params })), `${product.sku} is on sale again.`);
}
