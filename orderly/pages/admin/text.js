// How values are shown and read: money, dates, names of enumerations.

import { PageError } from "./api.js";

/** @param {{amount: number, currency: string}} money */
export function money({ amount, currency }) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  return format.format(amount / 10 ** decimals(currency));
}

/** An amount as it is typed into a field, such as 19.90.
 * @param {{amount: number, currency: string}} money */
export function typedAmount({ amount, currency }) {
  const digits = decimals(currency);
  const text = String(amount).padStart(digits + 1, "0");
  return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** Return the minor units of an amount that was typed. Without floating-point numbers, which round.
 * @param {string} text @param {string} currency */
export function parseAmount(text, currency) {
  const digits = decimals(currency);
  const [, whole, fraction = ""] = /^\s*(\d{1,12})(?:[.,](\d*))?\s*$/.exec(text) ?? [];
  if (whole === undefined || fraction.length > digits) {
    throw new PageError(`"${text}" is not an amount. Write it with at most ${digits} decimals, such as 19.90.`);
  }
  return Number(whole + fraction.padEnd(digits, "0"));
}

/** @param {string} currency */
function decimals(currency) {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

/** @param {string} timestamp */
export function dateTime(timestamp) {
  return new Date(timestamp).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** SIGN_IN_FAILED becomes "Sign in failed".
 * @param {string} name */
export function words(name) {
  const text = name.toLowerCase().replaceAll("_", " ");
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** @param {number} count @param {string} singular @param {string} [plural] */
export function counted(count, singular, plural = `${singular}s`) {
  return `${count} ${count === 1 ? singular : plural}`;
}
