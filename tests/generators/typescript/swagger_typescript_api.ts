import { Auth } from "./client/Auth.js";
import { HttpClient } from "./client/http-client.js";
import { Orders } from "./client/Orders.js";
import { Products } from "./client/Products.js";
import * as steps from "./steps.js";

const baseUrl = `${steps.url}/api/v1`;
const auth = new Auth(new HttpClient({ baseUrl }));

async function signIn(credentials: { email: string; password: string }, customFetch = fetch): Promise<HttpClient> {
  const { data } = await auth.issueToken(credentials);
  steps.signedIn(data.token_type);
  const headers = { Authorization: `Bearer ${data.access_token}` };
  return new HttpClient({ baseUrl, baseApiParams: { headers }, customFetch });
}

const user = (await auth.register(steps.newUser)).data;
if (!("role" in user)) throw new Error("This shop requires a verified email.");
steps.registered(user);

const customer = await signIn(steps.credentials);
const page = await new Products(customer).listProducts({ q: "hand grinder", in_stock: true, sort: "price", limit: 5 });
const product = steps.found(page.data.items);

function order(quantity: number) {
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  return new Orders(customer).createOrder({ items: [{ product_id: product.id, quantity }] }, { headers });
}
const placed = (await order(1)).data;
steps.ordered(placed.status, placed.total);
const { error } = await order(900);
if (error.code === "insufficient_stock") steps.refused(error);

// The generated client sends a file only as a part of a form. Send it as it is.
const file = new File([steps.csv], "products.csv");
const withFile: typeof fetch = (address, init) => {
  if (init?.method !== "POST") return fetch(address, init);
  const headers = new Headers(init.headers);
  headers.set("Content-Type", "text/csv");
  return fetch(address, { ...init, headers, body: file });
};
const admin = new Products(await signIn(steps.administrator, withFile));
steps.imported((await admin.importProducts(file)).data.created);
steps.exported((await admin.exportProducts({ format: "text" })).data);
