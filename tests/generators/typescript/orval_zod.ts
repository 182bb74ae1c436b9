// zod checks what is sent and what arrives; fetch sends it.

import { z } from "zod";
import {
  CreateOrder201Response,
  CreateOrder409Response,
  CreateOrderBody,
  ImportProducts200Response,
  IssueToken200Response,
  IssueTokenBody,
  ListProducts200Response,
  ListProductsQueryParams,
  Register201Response,
  RegisterBody,
} from "./client/orderly.zod.js";
import * as steps from "./steps.js";

/** Send a request; return the JSON of the answer, still without a type. */
async function send(method: string, path: string, body?: string | object, token?: string): Promise<unknown> {
  const isText = typeof body === "string";
  const answer = await fetch(`${steps.url}/api/v1${path}`, {
    method,
    headers: {
      "Content-Type": isText ? "text/csv" : "application/json",
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
  });
  const isJson = answer.headers.get("Content-Type")?.includes("json");
  return isJson ? answer.json() : answer.text();
}

async function signIn(credentials: { email: string; password: string }): Promise<string> {
  const tokens = IssueToken200Response.parse(await send("POST", "/auth/token", IssueTokenBody.parse(credentials)));
  steps.signedIn(tokens.token_type);
  return tokens.access_token;
}

steps.registered(Register201Response.parse(await send("POST", "/auth/register", RegisterBody.parse(steps.newUser))));

const customer = await signIn(steps.credentials);
const { q, sort } = ListProductsQueryParams.parse({ q: "hand grinder", sort: "price" });
const query = new URLSearchParams({ q: `${q}`, sort: `${sort}` });
const page = ListProducts200Response.parse(await send("GET", `/products?${query}`, undefined, customer));
const product = steps.found(page.items);

function order(quantity: number): Promise<unknown> {
  return send("POST", "/orders", CreateOrderBody.parse({ items: [{ product_id: product.id, quantity }] }), customer);
}
const placed = CreateOrder201Response.parse(await order(1));
steps.ordered(placed.status, placed.total);
const problem = CreateOrder409Response.parse(await order(900));
if (problem.code === "insufficient_stock") {
  steps.refused({ code: problem.code, status: problem.status, lines: problem.lines ?? [] });
}

const admin = await signIn(steps.administrator);
steps.imported(ImportProducts200Response.parse(await send("POST", "/products/import", steps.csv, admin)).created);
steps.exported(z.string().parse(await send("GET", "/products/export", undefined, admin)));
