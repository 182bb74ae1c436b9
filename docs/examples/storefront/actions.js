// Runs what a person asks for, and shows its messages and errors.

import { ProblemError, knownProducts } from "./api.js";
import { create, element } from "./elements.js";

/** @param {string} text @param {"good" | "bad"} [kind] */
export function showMessage(text, kind = "good") {
  element("message").replaceChildren(create("p", kind, text));
  if (kind === "bad") element("message").scrollIntoView({ block: "center" });
}

/** @param {unknown} error */
export function errorText(error) {
  if (!(error instanceof ProblemError)) {
    return "The shop cannot be reached. Try again: your order is not placed twice.";
  }
  const { problem } = error;
  const lines = (problem.lines ?? []).map((line) => {
    const name = knownProducts.get(line.product_id)?.name ?? "A product";
    if (line.available === undefined) return `${name} is no longer sold.`;
    if (line.available === 0) return `${name} is sold out.`;
    return `${name}: you ordered ${line.requested}, but the stock is ${line.available}.`;
  });
  const errors = (problem.errors ?? []).map((entry) => `${entry.pointer ?? entry.parameter}: ${entry.message}`);
  if (problem.order_numbers !== undefined) lines.push(problem.order_numbers.join(", "));
  if (problem.code === "email_not_verified") lines.push('Use the link in our mail, or get another one at "Account".');
  return [problem.detail, problem.reason, ...lines, ...errors].filter(Boolean).join("\n");
}

/** Run an action and show its error. If the session has ended, account.js asks the user to sign in.
 * @param {() => unknown} action */
export async function attempt(action) {
  try {
    await action();
  } catch (error) {
    if (error instanceof ProblemError && error.problem.status === 401) dispatchEvent(new Event("session-ended"));
    showMessage(errorText(error), "bad");
  }
}

/** Create a button that is disabled while its action runs.
 * @param {string} text @param {() => unknown} action @param {string} [className] */
export function button(text, action, className = "") {
  const created = create("button", className, text);
  created.type = "button";
  created.addEventListener("click", async () => {
    created.disabled = true;
    await attempt(action);
    created.disabled = false;
  });
  return created;
}

/** Run an action with the data of a form when it is submitted. Its button is disabled meanwhile.
 * @param {string} id @param {(form: FormData) => Promise<void>} action */
export function onSubmit(id, action) {
  const form = element(id, HTMLFormElement);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const submitter = event.submitter instanceof HTMLButtonElement ? event.submitter : undefined;
    const data = new FormData(form);
    if (submitter !== undefined) submitter.disabled = true;
    await attempt(() => action(data));
    if (submitter !== undefined) submitter.disabled = false;
  });
}
