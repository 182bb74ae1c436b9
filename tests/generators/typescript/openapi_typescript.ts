import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./client/orderly.js";
import * as steps from "./steps.js";

const baseUrl = `${steps.url}/api/v1`;
const anonymous = createClient<paths>({ baseUrl });

async function signIn(body: { email: string; password: string }): Promise<Client<paths>> {
  const tokens = steps.dataOf(await anonymous.POST("/auth/token", { body }));
  steps.signedIn(tokens.token_type);
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${tokens.access_token}` } });
}

const user = steps.dataOf(await anonymous.POST("/auth/register", { body: steps.newUser }));
if (!("role" in user)) throw new Error("This shop requires a verified email.");
steps.registered(user);

const customer = await signIn(steps.credentials);
const query = { q: "hand grinder", in_stock: true, sort: "price", limit: 5 } as const;
const page = steps.dataOf(await customer.GET("/products", { params: { query } }));
const product = steps.found(page.items);

function order(quantity: number) {
  return customer.POST("/orders", {
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
    body: { items: [{ product_id: product.id, quantity }] },
  });
}
const placed = steps.dataOf(await order(1));
steps.ordered(placed.status, placed.total);
const { error } = await order(900);
if (error?.code === "insufficient_stock") steps.refused(error);

const admin = await signIn(steps.administrator);
const report = await admin.POST("/products/import", {
  body: steps.csv,
  bodySerializer: (body) => body,
  headers: { "Content-Type": "text/csv" },
});
steps.imported(steps.dataOf(report).created);
steps.exported(steps.dataOf(await admin.GET("/products/export", { parseAs: "text" })));
