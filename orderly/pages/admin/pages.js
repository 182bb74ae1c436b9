// Lists with a search form and pages: the filters are in the address, so that reload and Back keep them.

import { attempt, button, create, emptyNote } from "./elements.js";
import { labelled } from "./forms.js";

/** @typedef {import("./forms.js").Field} Field */

/** A list whose pages are loaded one after another.
 * @template Item
 * @param {{label: string, empty: string, load: (cursor: string | undefined) =>
 *   Promise<{items: Item[], next_cursor: string | null}>, row: (item: Item) => HTMLElement}} options */
export function pagedList({ label, empty, load, row }) {
  const list = create("ul", { class: "rows", "aria-label": label });
  const note = create("div", { role: "status" });
  const more = create("p", { class: "more" });
  let generation = 0;

  /** @param {string} [cursor] */
  async function show(cursor) {
    const loading = cursor === undefined ? ++generation : generation;
    const page = await load(cursor);
    if (loading !== generation) return; // newer filters apply
    if (cursor === undefined) list.replaceChildren();
    const rows = page.items.map((item) => create("li", {}, row(item)));
    list.append(...rows);
    list.hidden = list.childElementCount === 0;
    note.replaceChildren(...(list.hidden ? [emptyNote(empty)] : []));
    const next = page.next_cursor;
    more.replaceChildren(
      ...(next === null ? [] : [button("Load more", () => show(next), { class: "secondary" })]),
    );
    if (cursor !== undefined) rows[0]?.querySelector("a")?.focus();
  }

  return { node: create("div", {}, list, note, more), show: () => show() };
}

/** A form with filters. Each change writes them to the address and calls `apply`.
 * @param {{route: string, fields: Field[], parameters: URLSearchParams, apply: () => Promise<void>}} options */
export function filterForm({ route, fields, parameters, apply }) {
  const current = fields.map((field) => ({ ...field, value: parameters.get(field.name) ?? field.value ?? "" }));
  const form = create("form", { class: "filters", role: "search" }, ...current.map(labelled));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    for (const [name, value] of new FormData(form)) {
      if (String(value).trim() === "") parameters.delete(name);
      else parameters.set(name, String(value).trim());
    }
    const query = parameters.toString();
    history.replaceState(null, "", `#/${route}${query ? `?${query}` : ""}`);
    void attempt(apply);
  });
  return form;
}
