// The security log: sign-ins, changes of accounts and products, refused requests.

import { api, dataOf } from "./api.js";
import { create, written } from "./elements.js";
import { filterForm, pagedList } from "./pages.js";
import { dateTime, words } from "./text.js";

/** @typedef {import("./api.js").Schemas} Schemas */
/** @typedef {Schemas["SecurityEvent"]} Event */

/** @type {Schemas["SecurityEventType"][]} */
const TYPES = [
  "SIGNED_IN", "SIGN_IN_FAILED", "SIGNED_OUT", "RATE_LIMITED", "ACCESS_DENIED", "REFRESH_TOKEN_REUSED", "SESSION_REVOKED",
  "REGISTERED", "REGISTRATION_REFUSED", "PASSWORD_CHANGED", "PASSWORD_CHANGE_FAILED", "PASSWORD_RESET", "EMAIL_VERIFIED",
  "EMAIL_CHANGE_REQUESTED", "EMAIL_CHANGE_FAILED", "EMAIL_CHANGED", "ROLE_CHANGED", "USER_DISABLED", "USER_ENABLED",
  "USER_DELETED", "USER_DELETION_FAILED", "DATA_EXPORTED", "PRODUCTS_IMPORTED", "PRODUCT_CREATED", "PRODUCT_UPDATED",
  "PRODUCT_ARCHIVED", "PRODUCT_RESTORED", "STOCK_ADJUSTED",
];

/** Names of users that were looked up, by id.
 * @type {Map<string, Promise<string>>} */
const names = new Map();

/** @param {HTMLElement} main @param {URLSearchParams} parameters */
export async function showSecurityLog(main, parameters) {
  const list = pagedList({
    label: "Security events",
    empty: "No events match these filters.",
    row: eventRow,
    load: async (cursor) => dataOf(await api.GET("/security-events", { params: { query: query(parameters, cursor) } })),
  });
  const filters = filterForm({
    route: "security",
    parameters,
    apply: list.show,
    fields: [
      { name: "type", label: "Event", type: "select", options: [["", "All"], ...TYPES.map((type) => /** @type {[string, string]} */ ([type, words(type)]))] },
      { name: "sort", label: "Sort by", type: "select", options: [["-created_at", "Newest first"], ["created_at", "Oldest first"]] },
    ],
  });
  const one = parameters.get("user_id");
  const note = one === null ? null
    : create("p", { class: "under" }, "Only of ", userLink(one), ". ", create("a", { href: "#/security" }, "Show all users"));
  main.append(...(note === null ? [] : [note]), filters, list.node);
  await list.show();
}

/** @param {URLSearchParams} parameters @param {string | undefined} cursor */
function query(parameters, cursor) {
  const type = TYPES.find((one) => one === parameters.get("type"));
  const user_id = parameters.get("user_id");
  return {
    limit: 50,
    sort: parameters.get("sort") === "created_at" ? /** @type {const} */ ("created_at") : /** @type {const} */ ("-created_at"),
    ...(type ? { type: [type] } : {}),
    ...(user_id ? { user_id } : {}),
    ...(cursor ? { cursor } : {}),
  };
}

/** @param {Event} event */
function eventRow(event) {
  const product = event.product_id === null ? null : create("a", { href: `#/products/${event.product_id}` }, "product");
  const roles = event.to_role === null ? null : `${words(event.from_role ?? "none")} → ${words(event.to_role)}`;
  const byOther = event.actor_user_id !== null && event.actor_user_id !== event.user_id;
  return create(
    "article",
    { class: "row event", "data-type": event.type },
    create("div", {},
      create("h2", {}, words(event.type)),
      create("p", {}, event.user_id === null ? "unknown user" : userLink(event.user_id),
        ...(byOther ? [", by ", userLink(event.actor_user_id ?? "")] : []),
        ...(roles === null ? [] : [`, ${roles}`]), ...(product === null ? [] : [", ", product]),
        ...(event.detail === null ? [] : [`, ${words(event.detail).toLowerCase()}`]))),
    create("div", {}, create("p", {}, written(event.address || "no address")), create("p", { class: "faint" }, written(event.user_agent))),
    create("p", { class: "figures faint" }, dateTime(event.created_at)),
  );
}

/** A link to a user. The log has ids only: the name appears when it is looked up.
 * @param {string} user_id */
function userLink(user_id) {
  const link = create("a", { href: `#/customers/${user_id}` }, `user ${user_id.slice(0, 8)}`);
  if (!names.has(user_id)) names.set(user_id, findName(user_id));
  void names.get(user_id)?.then((name) => name && link.replaceChildren(written(name)));
  return link;
}

/** @param {string} user_id */
async function findName(user_id) {
  try {
    const { data } = await api.GET("/users/{user_id}", { params: { path: { user_id } } });
    return data?.name ?? "";
  } catch {
    return ""; // the id is shown
  }
}
