// One product: create it, or edit it. If someone else has changed it too, the user chooses for each field.

import { api, dataOf, hasCode, idempotencyKeys, shop, versionOf } from "./api.js";
import { attempt, create, element, emptyNote, showMessage, written } from "./elements.js";
import { labelled, onSubmit, textOf } from "./forms.js";
import { loadProduct, productActions } from "./product_actions.js";
import { stockLabel } from "./products.js";
import { dateTime, money, parseAmount, typedAmount, words } from "./text.js";

/** @typedef {import("./api.js").Schemas} Schemas */
/** @typedef {Schemas["Product"]} Product */
/** @typedef {{sku: string, name: string, description: string, price: string}} Texts */

const LABELS = { sku: "SKU", name: "Name", description: "Description", price: "Price" };
const NAMES = /** @type {(keyof Texts)[]} */ (Object.keys(LABELS));

/** What the fields show of a product.
 * @param {Product} product @returns {Texts} */
function textsOf({ sku, name, description, price }) {
  return { sku, name, description, price: typedAmount(price) };
}

/** @param {Texts} texts @param {string} currency */
function fieldsOf(texts, currency) {
  return [
    labelled({ name: "sku", label: "SKU", value: texts.sku, required: true, maxlength: 64, hint: "Capital letters, digits, dots, hyphens and underscores." }),
    labelled({ name: "name", label: "Name", value: texts.name, required: true, maxlength: 200 }),
    labelled({ name: "price", label: `Price in ${currency}`, value: texts.price, required: true, maxlength: 14, hint: "Such as 19.90." }),
    labelled({ name: "description", label: "Description", type: "textarea", value: texts.description, maxlength: 5000 }),
  ];
}

/** @param {FormData} form @returns {Texts} */
function typedTexts(form) {
  const text = (/** @type {string} */ name) => String(form.get(name) ?? "").replaceAll("\r\n", "\n").trim();
  return { sku: text("sku"), name: text("name"), description: text("description"), price: text("price") };
}

/** Return the changes of a product that lead to these texts.
 * @param {Texts} texts @param {Product} product @returns {Schemas["ProductChanges"]} */
function changesTo(texts, product) {
  const { currency } = product.price;
  const amount = parseAmount(texts.price, currency);
  return {
    ...(texts.sku === product.sku ? {} : { sku: texts.sku }),
    ...(texts.name === product.name ? {} : { name: texts.name }),
    ...(texts.description === product.description ? {} : { description: texts.description }),
    ...(amount === product.price.amount ? {} : { price: { amount, currency } }),
  };
}

/** @param {HTMLElement} main */
export async function showNewProduct(main) {
  const keyFor = idempotencyKeys();
  const errors = create("div", { role: "alert" });
  const currency = /** @type {Schemas["Currency"]} */ (shop.currency);
  const form = create(
    "form",
    { class: "fields card" },
    ...fieldsOf({ sku: "", name: "", description: "", price: "" }, currency),
    labelled({ name: "stock", label: "Stock", type: "number", value: 0, required: true, min: 0, max: 2147483647 }),
    errors,
    create("p", { class: "actions" }, create("button", {}, "Create the product"), create("a", { class: "button secondary", href: "#/products" }, "Close")),
  );
  onSubmit(form, errors, async (data) => {
    const { price, ...texts } = typedTexts(data);
    const amount = parseAmount(price, currency);
    const body = { ...texts, price: { amount, currency }, stock: Number(textOf(data, "stock") ?? 0), images: [] };
    const product = dataOf(await api.POST("/products", { params: { header: { "Idempotency-Key": keyFor(body) } }, body }));
    location.hash = `#/products/${product.id}`;
  });
  main.append(form);
}

/** @param {HTMLElement} main @param {URLSearchParams} _parameters @param {string} id */
export async function showProduct(main, _parameters, id) {
  const content = create("div");
  main.append(content);

  /** @param {{data: Product, etag: string}} version */
  async function show({ data: product, etag }) {
    const heading = main.querySelector("h1");
    if (heading !== null) heading.replaceChildren(written(product.name));
    const actions = productActions(product, (changed, text) =>
      attempt(async () => {
        showMessage(text);
        if (changed.archived_at !== null) location.hash = "#/products?show=archived";
        else await reload();
      }));
    content.replaceChildren(
      create("p", { class: "under" }, stockLabel(product.stock), `, ${money(product.price)}`),
      actions,
      create("div", { class: "columns" }, editCard(product, etag, show), await movementsCard(id)),
    );
  }
  async function reload() {
    await show(await loadProduct(id));
  }
  await reload();
}

/** @param {Product} product @param {string} etag @param {(version: {data: Product, etag: string}) => Promise<void>} show */
function editCard(product, etag, show) {
  const errors = create("div", { role: "alert" });
  const form = create("form", { class: "fields" }, ...fieldsOf(textsOf(product), product.price.currency), errors,
    create("p", { class: "actions" }, create("button", {}, "Save")));
  const card = create("section", { class: "card" }, create("h2", {}, "Edit"), form);
  onSubmit(form, errors, async (data) => {
    const texts = typedTexts(data);
    try {
      await save(product, etag, texts, show);
    } catch (error) {
      if (!hasCode(error, "precondition_failed")) throw error;
      const current = await loadProduct(product.id);
      card.replaceChildren(...conflictForm(product, texts, current, show));
      card.querySelector("h2")?.focus();
    }
  });
  return card;
}

/** @param {Product} product @param {string} etag @param {Texts} texts
 * @param {(version: {data: Product, etag: string}) => Promise<void>} show */
async function save(product, etag, texts, show) {
  const body = changesTo(texts, product);
  if (Object.keys(body).length === 0) {
    await show({ data: product, etag });
    showMessage("Nothing to change.");
    return;
  }
  const params = { path: { product_id: product.id }, header: { "If-Match": etag } };
  const headers = { "Content-Type": "application/merge-patch+json" };
  await show(versionOf(await api.PATCH("/products/{product_id}", { params, body, headers })));
  showMessage("The product is saved.");
  element("main").focus({ preventScroll: true });
}

/** Show both versions side by side. Chosen at first: what the user has changed, and else what is saved.
 * @param {Product} base @param {Texts} mine @param {{data: Product, etag: string}} current
 * @param {(version: {data: Product, etag: string}) => Promise<void>} show */
function conflictForm(base, mine, current, show) {
  const [before, theirs] = [textsOf(base), textsOf(current.data)];
  const errors = create("div", { role: "alert" });
  const differing = NAMES.filter((name) => mine[name] !== theirs[name]);
  const rows = differing.map((name) => {
    const isMine = mine[name] !== before[name];
    return create("fieldset", { class: "choice" }, create("legend", {}, LABELS[name]),
      option(name, "mine", "Yours", mine[name], isMine), option(name, "theirs", "Saved by someone else", theirs[name], !isMine));
  });
  const form = create(
    "form",
    { class: "fields" },
    ...rows,
    errors,
    create("p", { class: "actions" }, create("button", {}, "Save the chosen values"), discardButton(current, show)),
  );
  onSubmit(form, errors, async (data) => {
    const chosen = { ...theirs };
    for (const name of differing) if (data.get(name) === "mine") chosen[name] = mine[name];
    try {
      await save(current.data, current.etag, chosen, show);
    } catch (error) {
      if (!hasCode(error, "precondition_failed")) throw error;
      form.parentElement?.replaceChildren(...conflictForm(current.data, chosen, await loadProduct(base.id), show));
    }
  });
  return [
    create("h2", { tabindex: -1 }, "Someone else has changed this product"),
    create("p", { class: "under-heading" }, differing.length > 0
      ? "Your changes are not saved yet. Choose a version of each field that differs."
      : "The saved version has the same values as yours."),
    form,
  ];
}

/** @param {string} name @param {string} value @param {string} whose @param {string} text @param {boolean} checked */
function option(name, value, whose, text, checked) {
  return create("label", { class: "version" },
    create("span", {}, create("input", { type: "radio", name, value, checked }), ` ${whose}`),
    create("span", { class: "value", dir: "auto" }, text || "(empty)"));
}

/** @param {{data: Product, etag: string}} current @param {(version: {data: Product, etag: string}) => Promise<void>} show */
function discardButton(current, show) {
  return create("button", { type: "button", class: "secondary", click: () => void attempt(() => show(current)) }, "Discard my changes");
}

/** @param {string} product_id */
async function movementsCard(product_id) {
  const params = { path: { product_id }, query: { limit: 20 } };
  const page = dataOf(await api.GET("/products/{product_id}/stock-movements", { params }));
  const rows = page.items.map((movement) => {
    const what = movement.reason === null ? words(movement.kind) : words(movement.reason);
    const order = movement.order_id === null ? what : create("a", { href: `#/orders/${movement.order_id}` }, what);
    return create("tr", {},
      create("td", {}, order, create("br"), create("span", { class: "faint" }, dateTime(movement.created_at))),
      create("td", { class: "number" }, movement.delta > 0 ? `+${movement.delta}` : String(movement.delta)),
      create("td", { class: "number" }, String(movement.stock_after)));
  });
  const head = ["Movement", "Change", "Stock"].map((text, index) =>
    create("th", { scope: "col", class: index ? "number" : null }, text));
  return create("section", { class: "card" }, create("h2", {}, "Stock movements"),
    rows.length === 0 ? emptyNote("The stock has never changed.")
      : create("table", {}, create("thead", {}, create("tr", {}, ...head)), create("tbody", {}, ...rows)),
    page.next_cursor === null ? null : create("p", { class: "faint" }, "The latest 20 movements."));
}
