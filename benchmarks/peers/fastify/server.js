// Fastify and node-postgres with hand-written SQL, as their documentation recommends: prepared
// statements, a pool, schemas for validation and for writing responses. An order is one statement.
// It writes orders, order_item and stock, but no idempotency key, stock movements and events.

import Fastify from "fastify";
import pg from "pg";
import { v7 } from "uuid";
import { verify } from "../access_token.mjs";

pg.types.setTypeParser(pg.types.builtins.INT8, Number);
const pool = new pg.Pool({ connectionString: process.env.PEER_DATABASE_URL, max: 16 });
const app = Fastify();

const COLUMNS = `p.id, p.sku, p.name, p.description, p.price, s.quantity, p.version, p.created_at, p.updated_at`;
const FIND = `SELECT ${COLUMNS} FROM product p JOIN stock s ON s.product_id = p.id
  WHERE p.id = $1 AND p.archived_at IS NULL`;
const FIRST_PAGE = `SELECT ${COLUMNS} FROM product p JOIN stock s ON s.product_id = p.id
  WHERE p.archived_at IS NULL ORDER BY "left"(p.name, 64), p.id LIMIT $1`;
const NEXT_PAGE = `SELECT ${COLUMNS} FROM product p JOIN stock s ON s.product_id = p.id
  WHERE p.archived_at IS NULL AND ("left"(p.name, 64), p.id) > ($2, $3)
  ORDER BY "left"(p.name, 64), p.id LIMIT $1`;
// The division fails if a product is missing, archived or sold out. Then nothing is written.
const PLACE = `WITH wanted AS (
    SELECT * FROM unnest($4::uuid[], $5::int[]) AS w (product_id, quantity)
  ), taken AS (
    UPDATE stock SET quantity = stock.quantity - w.quantity FROM wanted w
    WHERE stock.product_id = w.product_id AND stock.quantity >= w.quantity
    RETURNING stock.product_id, w.quantity
  ), lines AS (
    SELECT p.id, p.sku, p.name, p.price, t.quantity, row_number() OVER () AS position
    FROM taken t JOIN product p ON p.id = t.product_id AND p.archived_at IS NULL
  ), placed AS (
    INSERT INTO orders (id, number, user_id, status, currency, total, version, created_at, updated_at)
    SELECT $1, $2, $3, 'PENDING', 'EUR',
      sum(price * quantity) / (CASE WHEN count(*) = cardinality($4::uuid[]) THEN 1 ELSE 0 END),
      1, now(), now() FROM lines
    RETURNING id, total, created_at
  ), items AS (
    INSERT INTO order_item (order_id, product_id, position, sku, name, unit_price, quantity)
    SELECT placed.id, lines.id, position, sku, name, price, quantity FROM placed, lines
  )
  SELECT placed.created_at, placed.total, json_agg(lines) AS lines FROM placed, lines
  GROUP BY placed.created_at, placed.total`;

const uuid = { type: "string", format: "uuid" };
const text = { type: "string" };
const integer = { type: "integer" };
const money = { type: "object", properties: { amount: integer, currency: text } };
const product = {
  type: "object",
  properties: {
    id: text, sku: text, name: text, description: text, price: money, stock: integer, version: integer,
    created_at: text, updated_at: text,
  },
};
const order = {
  type: "object",
  properties: {
    id: text, number: text, status: text, user_id: text, total: money, version: integer, created_at: text,
    items: {
      type: "array",
      items: {
        type: "object",
        properties: { product_id: text, sku: text, name: text, unit_price: money, quantity: integer, subtotal: money },
      },
    },
  },
};

function present(row) {
  return {
    ...row,
    price: { amount: row.price, currency: "EUR" },
    stock: row.quantity,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

app.get(
  "/api/v1/products/:id",
  { schema: { params: { type: "object", properties: { id: uuid } }, response: { 200: product } } },
  async (request, reply) => {
    const { rows } = await pool.query({ name: "find", text: FIND, values: [request.params.id] });
    return rows.length > 0 ? present(rows[0]) : reply.code(404).send({ error: "not found" });
  },
);

const list = {
  type: "object",
  additionalProperties: false,
  properties: { limit: { type: "integer", minimum: 1, maximum: 100, default: 20 }, cursor: { type: "string", maxLength: 400 } },
};
const page = { type: "object", properties: { items: { type: "array", items: product }, next_cursor: { type: "string", nullable: true } } };
app.get("/api/v1/products", { schema: { querystring: list, response: { 200: page } } }, async (request) => {
  const { limit, cursor } = request.query;
  const after = cursor ? JSON.parse(Buffer.from(cursor, "base64url").toString()) : null;
  const { rows } = await pool.query(
    after
      ? { name: "next", text: NEXT_PAGE, values: [limit + 1, ...after] }
      : { name: "first", text: FIRST_PAGE, values: [limit + 1] },
  );
  const last = rows.length > limit ? rows[limit - 1] : null;
  return {
    items: rows.slice(0, limit).map(present),
    next_cursor: last && Buffer.from(JSON.stringify([last.name.slice(0, 64), last.id])).toString("base64url"),
  };
});

const lines = {
  type: "array",
  minItems: 1,
  maxItems: 100,
  items: {
    type: "object",
    additionalProperties: false,
    required: ["product_id", "quantity"],
    properties: { product_id: uuid, quantity: { type: "integer", minimum: 1, maximum: 10000 } },
  },
};
const newOrder = { type: "object", additionalProperties: false, required: ["items"], properties: { items: lines } };
app.post("/api/v1/orders", { schema: { body: newOrder, response: { 201: order } } }, async (request, reply) => {
  const user = verify(request.headers.authorization);
  if (user === null) return reply.code(401).send({ error: "unauthenticated" });
  const wanted = new Map();
  for (const { product_id, quantity } of request.body.items) {
    wanted.set(product_id, (wanted.get(product_id) ?? 0) + quantity);
  }
  // Locks the stock in the same sequence in all orders, so that they cannot deadlock.
  const ids = [...wanted.keys()].sort();
  const id = v7();
  const number = `ORD-${id.slice(-8).toUpperCase()}`;
  const values = [id, number, user, ids, ids.map((one) => wanted.get(one))];
  let placed;
  try {
    ({ rows: [placed] } = await pool.query({ name: "place", text: PLACE, values }));
  } catch (error) {
    if (error.code === "22012") return reply.code(409).send({ error: "insufficient stock" });
    throw error;
  }
  const euros = (amount) => ({ amount, currency: "EUR" });
  return reply.code(201).send({
    id,
    number,
    status: "PENDING",
    user_id: user,
    total: euros(placed.total),
    version: 1,
    created_at: placed.created_at.toISOString(),
    items: placed.lines.map((line) => ({
      product_id: line.id,
      sku: line.sku,
      name: line.name,
      unit_price: euros(line.price),
      quantity: line.quantity,
      subtotal: euros(line.price * line.quantity),
    })),
  });
});

await app.listen({ port: Number(process.env.PEER_PORT), host: "127.0.0.1", backlog: 1024 });
