// What the programs of all generators have in common: the data that they send, and the lines that they print.
// The parameters of the functions are typed, so that a generated type that is wrong does not compile.

/** The address of the server, and the name of the generator, which makes emails and SKUs unique. */
export const [url = "", generator = ""] = process.argv.slice(2);

export const newUser = {
  email: `${generator}@example.com`,
  name: "Mary Somerville",
  password: "juniper bridge 93 lantern",
};
export const credentials = { email: newUser.email, password: newUser.password };
export const administrator = { email: "admin@orderly.example", password: "turquoise kettle 27" };

const sku = `CSV-${generator.toUpperCase()}`;
export const csv = `sku,name,price,stock\r\n${sku},Paper filters,4.90,12\r\n`;

interface Money {
  amount: number;
  currency: string;
}

export interface Problem {
  code: "insufficient_stock";
  status: number;
  lines: { requested?: number; available?: number }[];
}

export function registered(user: { email: string; role: "CLIENT" | "ADMIN" }): void {
  console.log(`registered: ${user.email} ${user.role}`);
}

export function signedIn(token_type: "Bearer"): void {
  console.log(`signed in: ${token_type}`);
}

/** Print the first product, and return it. */
export function found<Product extends { sku: string; price: Money }>(products: Product[]): Product {
  const [product] = products;
  if (product === undefined) throw new Error("The shop has no grinder.");
  console.log(`found: ${product.sku} ${product.price.amount} ${product.price.currency}`);
  return product;
}

export function ordered(status: "PENDING" | "PAID" | "SHIPPED" | "DELIVERED" | "CANCELLED" | "RETURNED", total: Money): void {
  console.log(`ordered: ${status} ${total.amount}`);
}

export function refused(problem: Problem): void {
  for (const line of problem.lines) {
    console.log(`refused: ${problem.status} ${problem.code}, wanted ${line.requested}, there are ${line.available}`);
  }
}

export function imported(created: number): void {
  console.log(`imported: ${created} created`);
}

export function exported(file: string): void {
  console.log(`exported: ${file.includes(`"${sku}"`) ? "with the new product" : file}`);
}

/** Return the data of an answer, or throw its error. */
export function dataOf<Data>(answer: { data?: Data; error?: unknown }): Data {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}
