// Buys something by the typed client, as a program that is no browser: sign in, browse, order, have
// it paid, and meet an error. Run it against `orderly serve --demo`:
//
//     node built/shop.js http://127.0.0.1:8000

import { randomUUID } from "node:crypto";
import createClient, { type Client, type Middleware } from "openapi-fetch";
import type { components, paths } from "./orderly.js";

type Credentials = components["schemas"]["Credentials"];
type Order = components["schemas"]["Order"];
type Problem = components["schemas"]["Problem"];
type Product = components["schemas"]["Product"];
type Shop = Client<paths>;

/** What the shop answered instead of what was asked for: decide by `problem.code`. */
class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(`${problem.code}: ${problem.detail}`);
  }
}

/** Return the data of an answer. Each operation's error is a `Problem`, whatever its status. */
function taken<Data>(answer: { data?: Data; error?: Problem }): Data {
  if (answer.error !== undefined) throw new Refused(answer.error);
  return answer.data as Data; // a 204 has none
}

/** Return a client that is signed in: a bearer token goes with each request. */
async function signedIn(url: string, credentials: Credentials): Promise<Shop> {
  const shop = createClient<paths>({ baseUrl: `${url}/api/v1` });
  const { access_token } = taken(await shop.POST("/auth/token", { body: credentials }));
  const bearer: Middleware = {
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${access_token}`);
      return request;
    },
  };
  shop.use(bearer);
  return shop;
}

async function find(shop: Shop, words: string): Promise<Product> {
  const query = { q: words, in_stock: true, sort: "price", limit: 5 } as const;
  const page = taken(await shop.GET("/products", { params: { query } }));
  const [first] = page.items;
  if (first === undefined) throw new Error(`The shop has no ${words}.`);
  return first;
}

/** Place an order. The same key again answers the same order: safe to repeat after a broken line. */
async function buy(shop: Shop, product: Product, quantity: number, key: string): Promise<Order> {
  const answer = await shop.POST("/orders", {
    params: { header: { "Idempotency-Key": key } },
    body: { items: [{ product_id: product.id, quantity }], note: "No bell, please knock." },
  });
  return taken(answer);
}

async function main(url: string): Promise<void> {
  const client = { email: "client@orderly.example", password: "marmalade lantern 64" };
  const admin = { email: "admin@orderly.example", password: "turquoise kettle 27" };

  const customer = await signedIn(url, client);
  const me = taken(await customer.GET("/users/me"));
  console.log(`signed in: ${me.email} ${me.role}`);

  const product = await find(customer, "hand grinder");
  console.log(`found: ${product.sku} ${product.price.amount} ${product.price.currency}`);

  const key = randomUUID();
  const order = await buy(customer, product, 2, key);
  const again = await buy(customer, product, 2, key);
  console.log(`ordered: ${order.status} ${order.total.amount}, once: ${order.id === again.id}`);

  const administrator = await signedIn(url, admin);
  const path = { order_id: order.id };
  const paid = taken(
    await administrator.PUT("/orders/{order_id}/status", {
      params: { path },
      body: { status: "PAID" },
    }),
  );
  console.log(`paid: ${paid.status}, next ${paid.allowed_transitions.join(" or ")}`);

  const timeline = taken(
    await customer.GET("/orders/{order_id}/events", { params: { path } }),
  );
  console.log(`timeline: ${timeline.items.map((event) => event.to_status).join(", ")}`);

  try {
    await buy(customer, product, 900, randomUUID());
  } catch (error) {
    if (!(error instanceof Refused) || error.problem.code !== "insufficient_stock") throw error;
    for (const line of error.problem.lines ?? []) {
      console.log(`refused: ${error.problem.status}, wanted ${line.requested}, there are ${line.available}`);
    }
  }

  taken(await customer.POST("/auth/logout"));
  const { response } = await customer.GET("/users/me");
  console.log(`signed out: ${response.status}`);
}

await main(process.argv[2] ?? "http://127.0.0.1:8000");
