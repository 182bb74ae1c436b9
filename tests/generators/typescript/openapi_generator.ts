import {
  AuthApi,
  Configuration,
  InsufficientStockProblemFromJSON,
  OrdersApi,
  ProductsApi,
  ResponseError,
  instanceOfInsufficientStockProblem,
} from "./client/index.js";
import * as steps from "./steps.js";

const basePath = `${steps.url}/api/v1`;
const auth = new AuthApi(new Configuration({ basePath }));

async function signIn(credentials: { email: string; password: string }): Promise<Configuration> {
  const tokens = await auth.issueToken({ tokenRequest: credentials });
  steps.signedIn(tokens.tokenType);
  return new Configuration({ basePath, accessToken: tokens.accessToken });
}

steps.registered(await auth.register({ userRegistration: steps.newUser }));

const customer = await signIn(steps.credentials);
const page = await new ProductsApi(customer).listProducts({ q: "hand grinder", inStock: true, sort: "price", limit: 5 });
const product = steps.found(page.items);

function order(quantity: number) {
  return new OrdersApi(customer).createOrder({
    idempotencyKey: crypto.randomUUID(),
    orderRequest: { items: [{ productId: product.id, quantity }] },
  });
}
const placed = await order(1);
steps.ordered(placed.status, placed.total);
try {
  await order(900);
} catch (error) {
  if (!(error instanceof ResponseError)) throw error;
  const problem: unknown = await error.response.json();
  const typed = InsufficientStockProblemFromJSON(problem);
  if (instanceOfInsufficientStockProblem(typed)) steps.refused(typed);
}

const admin = new ProductsApi(await signIn(steps.administrator));
steps.imported((await admin.importProducts({ body: new Blob([steps.csv]) })).created);
steps.exported(await admin.exportProducts());
