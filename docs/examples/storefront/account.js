// Signing in and out, and the user's account.

import { attempt, button, errorText, onSubmit, showMessage } from "./actions.js";
import { api, dataOf, session } from "./api.js";
import { clearCart } from "./cart.js";
import { forgetAddress } from "./checkout.js";
import { recall, remember } from "./device.js";
import { create, element, emptyNote } from "./elements.js";

/** @typedef {import("./api.js").Schemas} Schemas */

/** The token of the mail whose link has led here; empty if there is none. */
let mailToken = "";

/** @param {string} token */
export function setMailToken(token) {
  mailToken = token;
}

// --- Signing in -----------------------------------------------------------------------------------

const dialog = element("sign-in-dialog", HTMLDialogElement);

function openSignIn() {
  element("sign-in-error").textContent = "";
  if (!dialog.open) dialog.showModal();
}

/** The demo's server says in the page who can sign in. Other servers do not. */
function showDemoAccount() {
  const { demoEmail, demoPassword } = document.body.dataset;
  if (demoEmail === undefined || demoPassword === undefined) return;
  element("demo-email").textContent = demoEmail;
  element("demo-password").textContent = demoPassword;
  element("demo-account").hidden = false;
  element("fill-in").addEventListener("click", () => {
    element("sign-in-email", HTMLInputElement).value = demoEmail;
    element("sign-in-password", HTMLInputElement).value = demoPassword;
    element("sign-in-submit").focus();
  });
}

/** @param {SubmitEvent} event */
async function submitSignIn(event) {
  const action = event.submitter instanceof HTMLButtonElement ? event.submitter.value : "sign-in";
  if (action === "close") return;
  event.preventDefault(); // keep the dialog open until the sign-in has succeeded
  const form = new FormData(element("sign-in-form", HTMLFormElement));
  const body = { email: String(form.get("email")), password: String(form.get("password")) };
  try {
    if (action === "forgot-password") {
      await requestPasswordReset(body.email);
      return;
    }
    if (action === "sign-up" && !(await signUp(body, String(form.get("name")).trim()))) return;
    const { user: signedIn } = dataOf(await api.POST("/auth/login", { body }));
    setUser(signedIn);
    dialog.close();
    showMessage(`Welcome, ${signedIn.name}.`);
    dispatchEvent(new Event("session-changed"));
  } catch (error) {
    element("sign-in-error").textContent = errorText(error);
  }
}

/** Register a user; return whether the user can sign in now.
 * @param {{email: string, password: string}} credentials @param {string} name */
async function signUp(credentials, name) {
  const registered = dataOf(await api.POST("/auth/register", { body: { ...credentials, name } }));
  if ("id" in registered) return true;
  // The shop requires verified addresses, and does not say whether this one was registered before.
  dialog.close();
  showMessage(`We have sent a mail to ${registered.email}. Use the link in it, then sign in.`);
  return false;
}

async function signInOrOut() {
  if (session.user === undefined) {
    openSignIn();
    return;
  }
  dataOf(await api.POST("/auth/logout"));
  setUser(undefined);
  forgetCustomer();
  showMessage("You are signed out.");
  dispatchEvent(new Event("session-changed"));
}

/** @param {Schemas["User"] | undefined} newUser */
function setUser(newUser) {
  session.user = newUser;
  // Scripts cannot read the session cookies, so remember whether there is a session to restore.
  remember("signed-in", newUser === undefined ? null : "yes");
  element("user-name").textContent = newUser?.name ?? "";
  element("sign-in-button").textContent = newUser === undefined ? "Sign in" : "Sign out";
}

/** Forget what the next user of this device should not see. Over HTTPS, the response to `logout` clears the
 * browser's storage too. */
function forgetCustomer() {
  forgetAddress();
  clearCart();
}

export async function restoreSession() {
  if (recall("signed-in") === null) return;
  // Set a user first: an expired access cookie is refreshed only for a signed-in user.
  session.user = /** @type {Schemas["User"]} */ ({});
  const me = await api.GET("/users/me");
  setUser(me.data);
}

// --- Account: password and email address ----------------------------------------------------------

/** @param {string} email */
async function requestPasswordReset(email) {
  const request = dataOf(await api.POST("/auth/password-resets", { body: { email } }));
  dialog.close();
  showMessage(`If ${request.email} has an account here, you get a mail with a link. It is valid for 30 minutes.`);
}

/** @param {FormData} form */
async function resetPassword(form) {
  const body = { token: mailToken, new_password: String(form.get("new_password")) };
  dataOf(await api.POST("/auth/password-resets/confirm", { body }));
  mailToken = "";
  setUser(undefined); // all sessions have ended
  location.hash = "products";
  showMessage("Your new password is set. Sign in with it.");
  openSignIn();
}

async function verifyEmail() {
  dataOf(await api.POST("/auth/email-verifications/confirm", { body: { token: mailToken } }));
  mailToken = "";
  location.hash = "account";
  showMessage("Thank you! Your email address is confirmed.");
}

export async function showAccount() {
  const content = element("account-content");
  const { user } = session;
  for (const id of ["change-email-form", "my-data", "delete-account-form"]) element(id).hidden = user === undefined;
  if (user === undefined) {
    content.replaceChildren(emptyNote("Sign in to see your account."));
    return;
  }
  const me = dataOf(await api.GET("/users/me"));
  const card = create("div", "card", create("h2", "", me.name), create("p", "", me.email));
  if (me.email_verified) card.append(create("p", "faint", "This address is confirmed."));
  else {
    card.append(create("p", "faint", "This address is not confirmed yet: use the link in the mail."));
    card.append(button("Send another mail", requestEmailVerification, "secondary"));
  }
  content.replaceChildren(card);
}

async function requestEmailVerification() {
  const request = dataOf(await api.POST("/auth/email-verifications"));
  showMessage(`We send a mail to ${request.email}. Use the link in it.`);
}

/** @param {FormData} form */
async function changeEmail(form) {
  const body = { email: String(form.get("email")), current_password: String(form.get("current_password")) };
  const request = dataOf(await api.PUT("/users/me/email", { body }));
  element("change-email-form", HTMLFormElement).reset();
  showMessage(`We send a mail to ${request.email}. Your address changes when you use the link in it.`);
}

/** Save everything that the shop has stored about the user as a file. Not by a plain link: the access
 * cookie may have expired. */
async function downloadMyData() {
  const blob = dataOf(await api.GET("/users/me/export", { parseAs: "blob" }));
  const file = create("a", "");
  file.href = URL.createObjectURL(blob);
  file.download = "personal-data.json";
  file.click();
  URL.revokeObjectURL(file.href);
}

/** @param {FormData} form */
async function deleteAccount(form) {
  const body = { current_password: String(form.get("current_password")) };
  dataOf(await api.DELETE("/users/me", { body }));
  element("delete-account-form", HTMLFormElement).reset();
  setUser(undefined);
  forgetCustomer();
  location.hash = "products";
  showMessage("Your account is deleted. A last mail confirms it.");
}

showDemoAccount();
element("sign-in-button").addEventListener("click", () => attempt(signInOrOut));
element("sign-in-form").addEventListener("submit", (event) => void submitSignIn(event));
element("download-my-data").addEventListener("click", () => attempt(downloadMyData));
onSubmit("change-email-form", changeEmail);
onSubmit("delete-account-form", deleteAccount);
onSubmit("reset-password-form", resetPassword);
onSubmit("verify-email-form", verifyEmail);
addEventListener("sign-in-needed", openSignIn);
addEventListener("session-ended", () => {
  setUser(undefined);
  openSignIn();
});
