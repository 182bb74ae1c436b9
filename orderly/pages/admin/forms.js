// Fields, and dialogs with fields.

import { create, errorNote, whileDisabled } from "./elements.js";

/** @typedef {{name: string, label: string, type?: string, value?: string | number, required?: boolean,
 *   options?: [string, string][], hint?: string, maxlength?: number, min?: number, max?: number}} Field */

let fieldCount = 0;

/** Create a labelled field: an input, a `textarea` or a `select` with its options.
 * @param {Field} field */
export function labelled(field) {
  const { name, label, type = "text", value = "", required = false, hint, maxlength = null, min = null, max = null } = field;
  const hintId = hint === undefined ? null : `hint-${++fieldCount}`;
  const attributes = { name, required, maxlength, min, max, "aria-describedby": hintId };
  const note = hint === undefined ? null : create("span", { class: "hint", id: hintId }, hint);
  if (type === "checkbox") {
    return create("label", { class: "check" }, create("input", { ...attributes, type }), create("span", {}, label), note);
  }
  return create("label", {}, create("span", {}, label), control(field, attributes, type, String(value)), note);
}

/** @param {Field} field @param {Record<string, string | number | boolean | null>} attributes @param {string} type
 * @param {string} value */
function control({ options = [] }, attributes, type, value) {
  if (type === "textarea") return create("textarea", { ...attributes, rows: 4, dir: "auto" }, value);
  if (type === "select") {
    const choices = options.map(([key, text]) => create("option", { value: key, selected: key === value }, text));
    return create("select", attributes, ...choices);
  }
  return create("input", { ...attributes, type, value, dir: type === "text" ? "auto" : null });
}

/** Run an action when a form is submitted, once at a time; show its error in the form.
 * @param {HTMLFormElement} form @param {HTMLElement} errors @param {(data: FormData) => Promise<unknown>} action */
export function onSubmit(form, errors, action) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const submit = form.querySelector("button:not([type=button])");
    if (!(submit instanceof HTMLButtonElement) || submit.disabled) return;
    errors.replaceChildren();
    try {
      await whileDisabled(submit, () => action(new FormData(form)));
    } catch (error) {
      errors.replaceChildren(errorNote(error));
    }
  });
}

/** The text of a field, or undefined if it is empty.
 * @param {FormData} data @param {string} name */
export function textOf(data, name) {
  return String(data.get(name) ?? "").trim() || undefined;
}

/** Ask in a dialog, and run the action. The dialog stays open, with what was typed, until the action has
 * succeeded or the user closes it.
 * @param {{title: string, text?: string, fields?: Field[], submit: string, danger?: boolean,
 *   action: (data: FormData) => Promise<unknown>}} options
 * @returns {Promise<void>} */
export function ask({ title, text = "", fields = [], submit, danger = false, action }) {
  const errors = create("div", { role: "alert" });
  const close = create("button", { type: "button", class: "secondary" }, "Close");
  const form = create(
    "form",
    { class: "fields" },
    create("h2", { id: "dialog-title" }, title),
    text ? create("p", { id: "dialog-text" }, text) : null,
    ...fields.map(labelled),
    errors,
    create("p", { class: "actions" }, create("button", { class: danger ? "danger" : null }, submit), close),
  );
  const dialog = create(
    "dialog",
    { "aria-labelledby": "dialog-title", "aria-describedby": text ? "dialog-text" : null },
    form,
  );
  close.addEventListener("click", () => dialog.close());
  onSubmit(form, errors, async (data) => {
    await action(data);
    dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
  });
}
