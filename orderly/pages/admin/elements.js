// Creates elements. Text from the API becomes text nodes and attributes, never HTML.

import { hasCode, PageError, ProblemError, shop } from "./api.js";

/** @typedef {Node | string | null} Content */
/** @typedef {string | number | boolean | null | ((event: Event) => void)} Attribute */

/** Create an element. A function is an event listener; `true` is an attribute without a value.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Record<string, Attribute>} attributes @param {Content[]} content */
export function create(tag, attributes = {}, ...content) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") created.addEventListener(name, value);
    else if (value !== null && value !== false) created.setAttribute(name, value === true ? "" : String(value));
  }
  created.append(...content.filter((part) => part !== null));
  return created;
}

/** Text that a user has written: its direction (Arabic, Hebrew) must not change the text around it.
 * @param {string} text */
export function written(text) {
  return create("bdi", {}, text);
}

/** Return the element of this id, or throw an error if it is missing or of another type.
 * @template {HTMLElement} [Type=HTMLElement]
 * @param {string} id @param {new () => Type} [type]
 * @returns {Type} */
export function element(id, type) {
  const found = document.getElementById(id);
  if (found === null || (type !== undefined && !(found instanceof type))) throw new Error(`no ${id}`);
  return /** @type {Type} */ (found);
}

/** Create a button. It is disabled while its action runs, so a double click runs the action once.
 * @param {string} text @param {() => unknown} action @param {Record<string, Attribute>} [attributes] */
export function button(text, action, attributes = {}) {
  const created = create("button", { type: "button", ...attributes }, text);
  created.addEventListener("click", () => void attempt(() => whileDisabled(created, action)));
  return created;
}

/** Run an action while a button is disabled. Then return the focus, which a disabled button loses. If the
 * action has replaced the button, the first link of its row gets the focus.
 * @param {HTMLButtonElement} control @param {() => unknown} action */
export async function whileDisabled(control, action) {
  if (control.disabled) return;
  const hadFocus = document.activeElement === control;
  const row = control.closest("article");
  control.disabled = true;
  try {
    await action();
  } finally {
    control.disabled = false;
    if (hadFocus && document.activeElement === document.body) {
      const next = control.isConnected ? control : row?.isConnected ? row.querySelector("a") : null;
      (next ?? element("main")).focus({ preventScroll: true });
    }
  }
}

/** Run an action, and show its error at the top of the page.
 * @param {() => unknown} action */
export async function attempt(action) {
  try {
    await action();
  } catch (error) {
    showError(error);
  }
}

/** @param {string} text */
export function showMessage(text) {
  element("message").replaceChildren(create("p", { class: "notice good" }, text));
}

export function clearMessage() {
  element("message").replaceChildren();
}

/** @param {unknown} error */
export function showError(error) {
  element("message").replaceChildren(errorNote(error));
  element("message").scrollIntoView({ block: "center" });
}

/** Return what is wrong, and what to do: the title, the detail, the violations and the remedy of a problem.
 * @param {unknown} error */
export function errorNote(error) {
  if (error instanceof PageError) return create("div", { class: "notice bad" }, create("p", {}, error.message));
  if (!(error instanceof ProblemError)) {
    if (!(error instanceof TypeError)) console.error(error);
    return create(
      "div",
      { class: "notice bad" },
      create("p", {}, create("strong", {}, "The server cannot be reached")),
      create("p", {}, "Try again. What you have typed stays, and a change that was already made is not made twice."),
    );
  }
  const { problem } = error;
  const violations = (problem.errors ?? []).map((entry) =>
    create("li", {}, written(`${(entry.pointer ?? entry.parameter ?? "").replace(/^\//, "")}: ${entry.message}`)),
  );
  return create(
    "div",
    { class: "notice bad", "data-code": problem.code },
    create("p", {}, create("strong", {}, problem.title)),
    create("p", {}, written([problem.detail, problem.reason].filter(Boolean).join(" "))),
    violations.length > 0 ? create("ul", {}, ...violations) : null,
    create("p", { class: "remedy" }, remedy(problem.code)),
    hasCode(error, "internal_error") ? create("p", {}, `Request: ${problem.request_id}`) : null,
  );
}

/** @param {string} code */
function remedy(code) {
  return (shop.remedies[code] ?? "").replaceAll("`", "");
}

/** @param {string} text */
export function emptyNote(text) {
  return create("p", { class: "empty" }, text);
}

/** A list of terms and their descriptions.
 * @param {[string, Content][]} entries */
export function facts(entries) {
  return create(
    "dl",
    {},
    ...entries.map(([term, description]) => create("div", {}, create("dt", {}, term), create("dd", {}, description))),
  );
}
