// Texts that this device remembers (localStorage). If the browser blocks the storage, this page does.

/** @type {Map<string, string>} */
const ofThisPage = new Map();

/** @param {string} name */
export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return ofThisPage.get(name) ?? null;
  }
}

/** Remember a text; null forgets it.
 * @param {string} name @param {string | null} text */
export function remember(name, text) {
  try {
    if (text === null) localStorage.removeItem(name);
    else localStorage.setItem(name, text);
  } catch {
    if (text === null) ofThisPage.delete(name);
    else ofThisPage.set(name, text);
  }
}
