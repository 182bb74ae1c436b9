// Signing in and out. When the session ends, a dialog asks to sign in above the view, which stays as it is.

import { api, dataOf, PageError, session } from "./api.js";
import { attempt, create, element } from "./elements.js";
import { onSubmit } from "./forms.js";

/** @typedef {import("./api.js").Schemas} Schemas */

/** @type {Promise<void> | undefined} */
let asking;
/** @type {() => void} */
let signedIn = () => {};
/** @type {Schemas["User"] | undefined} */
let user;

/** The signed-in administrator. */
export function currentUser() {
  return user;
}

/** Ask for an account until an administrator has signed in. Several requests can wait for the same dialog.
 * @param {string} [text] */
export function askToSignIn(text = "Your session has ended. Sign in to continue: nothing that you typed is lost.") {
  asking ??= new Promise((resolve) => {
    element("sign-in-text").textContent = text;
    element("sign-in-error").replaceChildren();
    const dialog = element("sign-in", HTMLDialogElement);
    if (!dialog.open) dialog.showModal();
    signedIn = () => {
      asking = undefined;
      dialog.close();
      resolve();
    };
  });
  return asking;
}

/** @param {FormData} form */
async function signIn(form) {
  const body = { email: String(form.get("email")).trim(), password: String(form.get("password")) };
  const result = dataOf(await api.POST("/auth/login", { body }));
  if (result.user.role !== "ADMIN") {
    await api.POST("/auth/logout");
    throw new PageError(notAdministrator(result.user));
  }
  setUser(result.user);
  element("sign-in-form", HTMLFormElement).reset();
  signedIn();
}

/** @param {Schemas["User"]} other */
function notAdministrator(other) {
  return `${other.email} is not an administrator. Sign in with an administrator's account, or ask an administrator to change the role of yours.`;
}

/** @param {Schemas["User"] | undefined} newUser */
function setUser(newUser) {
  user = newUser;
  element("user-name").textContent = newUser?.name ?? "";
  element("account").hidden = newUser === undefined;
  element("views").hidden = newUser === undefined;
}

/** Return when an administrator is signed in: with the cookies of an earlier visit, or with the dialog. */
export async function start() {
  session.askToSignIn = () => askToSignIn();
  const dialog = element("sign-in", HTMLDialogElement);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  // A second Escape closes the dialog in spite of that.
  dialog.addEventListener("close", () => {
    if (asking !== undefined) dialog.showModal();
  });
  onSubmit(element("sign-in-form", HTMLFormElement), element("sign-in-error"), signIn);
  element("sign-out").addEventListener("click", () => void attempt(signOut));
  const visitor = await findVisitor();
  if (visitor?.role === "ADMIN") setUser(visitor);
  else await askToSignIn(visitor === undefined ? "With an administrator's account." : notAdministrator(visitor));
}

/** Return the user whose cookies the browser has, if any. */
async function findVisitor() {
  session.askToSignIn = async () => {};
  const { data } = await api.GET("/users/me");
  session.askToSignIn = () => askToSignIn();
  return data;
}

async function signOut() {
  await api.POST("/auth/logout");
  setUser(undefined);
  element("main").replaceChildren(create("p", {}, "You are signed out."));
  await askToSignIn("You are signed out.");
  dispatchEvent(new HashChangeEvent("hashchange"));
}
