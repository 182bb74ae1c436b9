// Finds and creates elements. Data becomes text, never HTML.

/** Return the element of this id, or throw an error if it is missing or of another type.
 * @template {HTMLElement} [Type=HTMLElement]
 * @param {string} id @param {new () => Type} [type]
 * @returns {Type} */
export function element(id, type) {
  const found = document.getElementById(id);
  if (found === null || (type !== undefined && !(found instanceof type))) throw new Error(`no ${id}`);
  return /** @type {Type} */ (found);
}

/** @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {string} className @param {(Node | string)[]} content */
export function create(tag, className, ...content) {
  const created = document.createElement(tag);
  created.className = className;
  created.append(...content);
  return created;
}

/** @param {string} text @param {string} href */
export function link(text, href) {
  const created = create("a", "", text);
  created.href = href;
  return created;
}

/** @param {string} text */
export function emptyNote(text) {
  return create("p", "empty", text);
}

/** Return a list of names and values. Null values are left out.
 * @param {[string, string | null | undefined][]} facts */
export function factList(facts) {
  const list = create("dl", "facts");
  for (const [name, value] of facts) {
    if (value) list.append(create("dt", "", name), create("dd", "", value));
  }
  return list;
}

/** @param {{amount: number, currency: string}} money */
export function formatMoney({ amount, currency }) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

/** @param {string} instant */
export function formatTime(instant) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const time = create("time", "", format.format(new Date(instant)));
  time.dateTime = instant;
  return time;
}
