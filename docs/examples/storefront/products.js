// The list of products, and the page of one product.

import { attempt, button, showMessage } from "./actions.js";
import { api, dataOf, fetchProduct, knownProducts } from "./api.js";
import { addToCart } from "./cart.js";
import { create, element, emptyNote, formatMoney, link } from "./elements.js";

/** @typedef {import("./api.js").Schemas} Schemas */

/** @type {string | null} */
let nextCursor = null;
let searchCount = 0;

/** Show the first page of the products that match the search form, or add the page of a cursor.
 * @param {string} [cursor] */
export async function loadProducts(cursor) {
  const search = ++searchCount;
  const form = new FormData(element("search", HTMLFormElement));
  const words = String(form.get("q")).trim();
  const page = dataOf(
    await api.GET("/products", {
      params: {
        query: {
          limit: 12,
          sort: sortOrder(form.get("sort")),
          ...(words ? { q: words } : {}),
          ...(form.has("in_stock") ? { in_stock: true } : {}),
          ...(cursor ? { cursor } : {}),
        },
      },
    }),
  );
  if (search !== searchCount) return; // a newer search has started
  nextCursor = page.next_cursor;
  element("show-more").hidden = nextCursor === null;
  for (const product of page.items) knownProducts.set(product.id, product);
  const list = element("product-list");
  if (cursor === undefined) list.replaceChildren();
  const cards = page.items.map(productCard);
  list.append(...cards);
  if (list.childElementCount === 0) list.append(emptyNote("No products match your search."));
  // "Show more" may be hidden now: continue at the first new product.
  if (cursor !== undefined) cards[0]?.querySelector("a")?.focus();
}

/** @param {FormDataEntryValue | null} value */
function sortOrder(value) {
  return value === "price" || value === "-price" || value === "-created_at" ? value : "name";
}

/** @param {Schemas["Product"]} product */
function productCard(product) {
  const details = create(
    "div",
    "details",
    create("h2", "", link(product.name, `#product/${product.id}`)),
    create("p", "", product.description),
    priceRow(product),
    addButton(product, () => addToCart(product, 1)),
  );
  const card = create("article", "product", picture(product, product.images[0]), details);
  card.dataset["sku"] = product.sku;
  return card;
}

/** @param {Schemas["Product"]} product */
function priceRow({ price, stock }) {
  const text = stock === 0 ? "Sold out" : stock < 5 ? `Only ${stock} left` : "In stock";
  const className = stock === 0 ? "stock none" : stock < 5 ? "stock low" : "stock";
  return create("div", "row", create("span", "price", formatMoney(price)), create("span", className, text));
}

/** @param {Schemas["Product"]} product @param {() => void} add */
function addButton(product, add) {
  const created = button("Add to cart", add);
  created.setAttribute("aria-label", `Add to cart: ${product.name}`);
  created.disabled = product.stock === 0;
  return created;
}

// --- Pictures -------------------------------------------------------------------------------------

/** Return a picture of a product; a coloured letter if there is none, or if it cannot be loaded.
 * @param {Schemas["Product"]} product @param {Schemas["ProductImage"]} [image] */
function picture(product, image) {
  const hue = [...product.sku].reduce((sum, letter) => sum + letter.charCodeAt(0) * 7, 0) % 360;
  const frame = create("div", "picture");
  frame.style.setProperty("--hue", String(hue));
  const letter = create("span", "", (([first = ""]) => first)([...product.name]).toUpperCase());
  if (image === undefined) {
    letter.ariaHidden = "true";
    frame.append(letter);
    return frame;
  }
  letter.role = "img";
  letter.ariaLabel = image.alt;
  const loaded = create("img", "");
  Object.assign(loaded, { alt: image.alt, loading: "lazy", decoding: "async", referrerPolicy: "no-referrer" });
  loaded.addEventListener("error", () => loaded.replaceWith(letter));
  loaded.src = image.url;
  frame.append(loaded);
  return frame;
}

/** Return all pictures of a product: one in full size, and buttons to choose it.
 * @param {Schemas["Product"]} product */
function gallery(product) {
  const frame = create("div", "", picture(product, product.images[0]));
  const chooser = create("div", "thumbnails");
  if (product.images.length > 1) {
    chooser.role = "group";
    chooser.ariaLabel = "Pictures";
    product.images.forEach((image, index) => {
      const choose = create("button", "thumbnail", picture(product, image));
      choose.type = "button";
      choose.ariaPressed = String(index === 0);
      choose.addEventListener("click", () => {
        for (const one of chooser.children) one.ariaPressed = String(one === choose);
        frame.replaceChildren(picture(product, image));
      });
      chooser.append(choose);
    });
  }
  return create("div", "gallery", frame, chooser);
}

// --- One product ----------------------------------------------------------------------------------

/** Show the page of a product.
 * @param {string} id */
export async function showProduct(id) {
  const content = element("product-content");
  content.replaceChildren();
  const product = await fetchProduct(id);
  if (location.hash !== `#product/${id}`) return; // left while it was loading
  if (product === undefined) {
    content.replaceChildren(create("h1", "", "Not found"), emptyNote("This product is not sold (any more)."));
    return;
  }
  const details = create(
    "div",
    "details",
    create("h1", "", product.name),
    create("p", "faint", product.sku),
    create("p", "description", product.description),
    priceRow(product),
    quantityRow(product),
  );
  content.replaceChildren(create("article", "product-page", gallery(product), details));
}

/** @param {Schemas["Product"]} product */
function quantityRow(product) {
  const input = create("input", "");
  Object.assign(input, { type: "number", min: "1", max: "10000", value: "1" });
  const label = create("label", "quantity", "Quantity", input);
  const add = addButton(product, () => {
    const quantity = Math.floor(Number(input.value));
    if (quantity >= 1) addToCart(product, quantity);
    else showMessage("The quantity must be at least 1.", "bad");
  });
  return create("div", "row", label, add);
}

element("search").addEventListener("input", () => attempt(loadProducts));
element("search").addEventListener("submit", (event) => event.preventDefault());
element("show-more").addEventListener("click", () => attempt(() => loadProducts(nextCursor ?? undefined)));
