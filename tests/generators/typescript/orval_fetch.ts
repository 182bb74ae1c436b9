import { createOrder, exportProducts, importProducts, issueToken, listProducts, register } from "./client/orderly.js";
import * as steps from "./steps.js";

type Options = { headers: { Authorization: string } };

async function signIn(credentials: { email: string; password: string }): Promise<Options> {
  const answer = await issueToken(credentials);
  if (answer.status !== 200) throw new Error(answer.data.code);
  steps.signedIn(answer.data.token_type);
  return { headers: { Authorization: `Bearer ${answer.data.access_token}` } };
}

const user = await register(steps.newUser);
if (user.status !== 201) throw new Error("This shop requires a verified email.");
steps.registered(user.data);

const customer = await signIn(steps.credentials);
const page = await listProducts({ q: "hand grinder", in_stock: true, sort: "price", limit: 5 }, customer);
if (page.status !== 200) throw new Error("The list of products was refused.");
const product = steps.found(page.data.items);

function order(quantity: number) {
  const headers = { ...customer.headers, "Idempotency-Key": crypto.randomUUID() };
  return createOrder({ items: [{ product_id: product.id, quantity }] }, { headers });
}
const placed = await order(1);
if (placed.status !== 201) throw new Error(placed.data.code);
steps.ordered(placed.data.status, placed.data.total);
const answer = await order(900);
if (answer.status === 409 && answer.data.code === "insufficient_stock") steps.refused(answer.data);

const admin = await signIn(steps.administrator);
const report = await importProducts(new Blob([steps.csv]), {}, admin);
if (report.status !== 200) throw new Error(report.data.code);
steps.imported(report.data.created);
const file = await exportProducts(admin);
if (file.status !== 200) throw new Error(file.data.code);
steps.exported(file.data);
