import { createClient, type Client } from "./client/client/index.js";
import { createOrder, exportProducts, importProducts, issueToken, listProducts, register } from "./client/index.js";
import * as steps from "./steps.js";

const baseUrl = `${steps.url}/api/v1`;
const anonymous = createClient({ baseUrl });

async function signIn(body: { email: string; password: string }): Promise<Client> {
  const tokens = steps.dataOf(await issueToken({ client: anonymous, body }));
  steps.signedIn(tokens.token_type);
  return createClient({ baseUrl, auth: tokens.access_token });
}

const user = steps.dataOf(await register({ client: anonymous, body: steps.newUser }));
if (!("role" in user)) throw new Error("This shop requires a verified email.");
steps.registered(user);

const customer = await signIn(steps.credentials);
const page = steps.dataOf(
  await listProducts({ client: customer, query: { q: "hand grinder", in_stock: true, sort: "price", limit: 5 } }),
);
const product = steps.found(page.items);

function order(quantity: number) {
  return createOrder({
    client: customer,
    headers: { "Idempotency-Key": crypto.randomUUID() },
    body: { items: [{ product_id: product.id, quantity }] },
  });
}
const placed = steps.dataOf(await order(1));
steps.ordered(placed.status, placed.total);
const { error } = await order(900);
if (error?.code === "insufficient_stock") steps.refused(error);

const admin = await signIn(steps.administrator);
const report = steps.dataOf(await importProducts({ client: admin, body: new Blob([steps.csv]) }));
steps.imported(report.created);
steps.exported(steps.dataOf(await exportProducts({ client: admin })));
