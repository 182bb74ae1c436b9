// Calls the API from a program, through the typed client: signs in, finds a product, orders it, pays in the
// sandbox, ships the order, and handles an error. Run it against `orderly serve --demo`:
//
//     node built/shop.js http://localhost:8000

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import createClient, { type Client, type Middleware } from "openapi-fetch";
import type { components, paths } from "./orderly.js";

type Credentials = components["schemas"]["Credentials"];
type Order = components["schemas"]["Order"];
type Payment = components["schemas"]["Payment"];
type Problem = components["schemas"]["Problem"];
type Product = components["schemas"]["Product"];
type Shop = Client<paths>;

/** The error response of the API. Branch on `problem.code`. */
class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(`${problem.code}: ${problem.detail}`);
  }
}

/** Return the data of a result, or throw its error, which is a `Problem` for every status. */
function dataOf<Data>(result: { data?: Data; error?: Problem }): Data {
  if (result.error !== undefined) throw new ProblemError(result.error);
  return result.data as Data; // undefined for 204
}

/** Return a client that sends a bearer token with each request. */
async function signedIn(url: string, credentials: Credentials): Promise<Shop> {
  const shop = createClient<paths>({ baseUrl: `${url}/api/v1` });
  const { access_token } = dataOf(await shop.POST("/auth/token", { body: credentials }));
  const bearer: Middleware = {
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${access_token}`);
      return request;
    },
  };
  shop.use(bearer);
  return shop;
}

/** Return the cheapest product in stock that matches the words. */
async function findProduct(shop: Shop, words: string): Promise<Product> {
  const query = { q: words, in_stock: true, sort: "price", limit: 5 } as const;
  const page = dataOf(await shop.GET("/products", { params: { query } }));
  const [first] = page.items;
  if (first === undefined) throw new Error(`The shop has no ${words}.`);
  return first;
}

/** Request an order. Repeating the call with the same key returns the same order: safe to retry. */
function requestOrder(shop: Shop, product: Product, quantity: number, key: string) {
  return shop.POST("/orders", {
    params: { header: { "Idempotency-Key": key } },
    body: { items: [{ product_id: product.id, quantity }], note: "No bell, please knock." },
  });
}

/** Place an order, or throw the reason why it is refused. */
async function placeOrder(shop: Shop, product: Product, quantity: number, key: string): Promise<Order> {
  return dataOf(await requestOrder(shop, product, quantity, key));
}

/** Pay an order in the sandbox. Elsewhere the customer pays, on the page `redirect_url`. */
async function pay(shop: Shop, order: Order): Promise<Payment> {
  const started = dataOf(
    await shop.POST("/orders/{order_id}/payments", {
      params: { path: { order_id: order.id }, header: { "Idempotency-Key": randomUUID() } },
      body: { provider: "sandbox" },
    }),
  );
  const path = { payment_id: started.id };
  let payment = dataOf(
    await shop.POST("/sandbox/payments/{payment_id}/settle", {
      params: { path },
      body: { outcome: "SUCCEED" },
    }),
  );
  // The result arrives at the shop by a notification of the provider, usually within a second.
  for (let tries = 0; payment.status === "PENDING" && tries < 120; tries++) {
    await sleep(250);
    payment = dataOf(await shop.GET("/payments/{payment_id}", { params: { path } }));
  }
  return payment;
}

async function main(url: string): Promise<void> {
  const client = { email: "client@orderly.example", password: "marmalade lantern 64" };
  const admin = { email: "admin@orderly.example", password: "turquoise kettle 27" };

  const customer = await signedIn(url, client);
  const me = dataOf(await customer.GET("/users/me"));
  console.log(`signed in: ${me.email} ${me.role}`);

  const product = await findProduct(customer, "hand grinder");
  console.log(`found: ${product.sku} ${product.price.amount} ${product.price.currency}`);

  const key = randomUUID();
  const order = await placeOrder(customer, product, 2, key);
  const repeated = await placeOrder(customer, product, 2, key);
  console.log(`ordered: ${order.status} ${order.total.amount}, once: ${order.id === repeated.id}`);

  const payment = await pay(customer, order);
  const path = { order_id: order.id };
  const paid = dataOf(await customer.GET("/orders/{order_id}", { params: { path } }));
  console.log(`paid: ${payment.status} ${payment.amount.amount}, the order is ${paid.status}`);

  const administrator = await signedIn(url, admin);
  const shipped = dataOf(
    await administrator.PUT("/orders/{order_id}/status", {
      params: { path },
      body: { status: "SHIPPED" },
    }),
  );
  console.log(`shipped: ${shipped.status}, next ${shipped.allowed_transitions.join(" or ")}`);

  const timeline = dataOf(
    await customer.GET("/orders/{order_id}/events", { params: { path } }),
  );
  console.log(`timeline: ${timeline.items.map((event) => event.type).join(", ")}`);

  // The operation lists its codes, and each code the members of its problem: `lines` is present here.
  const { error } = await requestOrder(customer, product, 900, randomUUID());
  if (error?.code !== "insufficient_stock") throw new Error("The order was not refused.");
  for (const line of error.lines) {
    console.log(`refused: ${error.status}, wanted ${line.requested}, there are ${line.available}`);
  }

  dataOf(await customer.POST("/auth/logout"));
  const { response } = await customer.GET("/users/me");
  console.log(`signed out: ${response.status}`);
}

await main(process.argv[2] ?? "http://localhost:8000");
