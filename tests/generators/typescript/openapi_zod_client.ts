import { isAxiosError } from "axios";
import { createApiClient, schemas } from "./client/orderly.js";
import * as steps from "./steps.js";

const baseUrl = `${steps.url}/api/v1`;
const anonymous = createApiClient(baseUrl);

async function signIn(credentials: { email: string; password: string }) {
  const tokens = await anonymous.issue_token(credentials);
  steps.signedIn(tokens.token_type);
  return createApiClient(baseUrl, {
    axiosConfig: { headers: { Authorization: `Bearer ${tokens.access_token}` } },
  });
}

steps.registered(await anonymous.register(steps.newUser));

const customer = await signIn(steps.credentials);
const queries = { q: "hand grinder", in_stock: true, sort: "price", limit: 5 } as const;
const page = await customer.list_products({ queries });
const product = steps.found(page.items);

function order(quantity: number) {
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  return customer.create_order({ items: [{ product_id: product.id, quantity }] }, { headers });
}
const placed = await order(1);
steps.ordered(placed.status, placed.total);
try {
  await order(900);
} catch (error) {
  if (!isAxiosError<unknown>(error)) throw error;
  const { code, status, lines } = schemas.Problem.parse(error.response?.data);
  if (code === "insufficient_stock") steps.refused({ code, status, lines: lines ?? [] });
}

const admin = await signIn(steps.administrator);
const file = new File([steps.csv], "products.csv", { type: "text/csv" });
steps.imported((await admin.import_products(file, { headers: { "Content-Type": "text/csv" } })).created);
steps.exported(await admin.export_products());
