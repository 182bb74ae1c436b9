// The customers and administrators of the shop, and their orders.

import { api, dataOf } from "./api.js";
import { button, create, facts, showMessage, written } from "./elements.js";
import { ask } from "./forms.js";
import { orderRow } from "./orders.js";
import { filterForm, pagedList } from "./pages.js";
import { currentUser } from "./session.js";
import { dateTime, words } from "./text.js";

/** @typedef {import("./api.js").Schemas} Schemas */
/** @typedef {Schemas["User"]} User */

/** @param {HTMLElement} main @param {URLSearchParams} parameters */
export async function showCustomers(main, parameters) {
  const list = pagedList({
    label: "Customers",
    empty: "No customers match these filters.",
    row: userRow,
    load: async (cursor) => dataOf(await api.GET("/users", { params: { query: query(parameters, cursor) } })),
  });
  const filters = filterForm({
    route: "customers",
    parameters,
    apply: list.show,
    fields: [
      { name: "q", label: "Name or email", type: "search", maxlength: 100 },
      { name: "role", label: "Role", type: "select", options: [["", "All"], ["CLIENT", "Customers"], ["ADMIN", "Administrators"]] },
      { name: "active", label: "Account", type: "select", options: [["", "All"], ["true", "Enabled"], ["false", "Disabled"]] },
    ],
  });
  main.append(filters, list.node);
  await list.show();
}

/** @param {URLSearchParams} parameters @param {string | undefined} cursor */
function query(parameters, cursor) {
  const role = parameters.get("role");
  const active = parameters.get("active");
  const text = parameters.get("q");
  return {
    limit: 20,
    sort: /** @type {const} */ ("-created_at"),
    ...(role === "CLIENT" || role === "ADMIN" ? { role: /** @type {Schemas["Role"]} */ (role) } : {}),
    ...(active ? { active: active === "true" } : {}),
    ...(text ? { q: text } : {}),
    ...(cursor ? { cursor } : {}),
  };
}

/** @param {User} user */
function stateOf(user) {
  if (user.deleted_at !== null) return create("strong", { class: "none" }, "Deleted");
  return user.active ? create("span", {}, "Enabled") : create("strong", { class: "none" }, "Disabled");
}

/** @param {User} user */
function userRow(user) {
  return create(
    "article",
    { class: "row", "data-email": user.email },
    create("div", {},
      create("h2", {}, create("a", { href: `#/customers/${user.id}` }, written(user.name))),
      create("p", { class: "faint" }, written(user.email))),
    create("p", {}, user.role === "ADMIN" ? "Administrator" : "Customer"),
    create("p", { class: "figures" }, stateOf(user)),
  );
}

/** @param {HTMLElement} main @param {URLSearchParams} _parameters @param {string} user_id */
export async function showCustomer(main, _parameters, user_id) {
  const content = create("div");
  const orders = pagedList({
    label: "Orders of this customer",
    empty: "There are no orders yet.",
    row: orderRow,
    load: async (cursor) => {
      const params = { query: { user_id, limit: 20, ...(cursor ? { cursor } : {}) } };
      return dataOf(await api.GET("/orders", { params }));
    },
  });
  /** @param {User} user */
  const show = (user) => {
    main.querySelector("h1")?.replaceChildren(written(user.name));
    content.replaceChildren(customerCard(user, show));
  };
  main.append(content, create("h2", { class: "section" }, "Orders"), orders.node);
  const [result] = await Promise.all([api.GET("/users/{user_id}", { params: { path: { user_id } } }), orders.show()]);
  show(dataOf(result));
}

/** @param {User} user @param {(user: User) => void} show */
function customerCard(user, show) {
  const canChange = user.deleted_at === null && user.id !== currentUser()?.id;
  const label = user.active ? "Disable the account…" : "Enable the account…";
  return create(
    "section",
    { class: "card" },
    facts([
      ["Email", create("span", {}, written(user.email), user.email_verified ? "" : " (not verified)")],
      ["Role", user.role === "ADMIN" ? "Administrator" : "Customer"],
      ["Account", stateOf(user)],
      ["Registered", dateTime(user.created_at)],
    ]),
    create("p", { class: "actions spaced" },
      canChange ? button(label, () => askToSwitch(user, show), { class: "secondary" }) : null,
      create("a", { class: "button secondary", href: `#/security?user_id=${user.id}` }, "Security log of this user")),
  );
}

/** Ask, then disable or enable an account.
 * @param {User} user @param {(user: User) => void} show */
async function askToSwitch(user, show) {
  const active = !user.active;
  await ask({
    title: `${active ? "Enable" : "Disable"} ${user.name}`,
    text: active ? "The user can sign in again." : "The user is signed out everywhere and cannot sign in. Orders stay.",
    submit: active ? "Enable" : "Disable",
    danger: !active,
    action: async () => {
      const params = { path: { user_id: user.id } };
      const changed = dataOf(await api.PATCH("/users/{user_id}", { params, body: { active } }));
      show(changed);
      showMessage(`${changed.email} is ${words(changed.active ? "enabled" : "disabled").toLowerCase()}.`);
    },
  });
}
