// Express, Prisma and Zod, as their documentation recommends: a model for each table, a pool of the
// pg adapter, a schema for each input. An order is one interactive transaction. It writes orders,
// order_item and stock, but no idempotency key, stock movements and events.

import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "@prisma/client";
import express from "express";
import { v7 } from "uuid";
import { z } from "zod";
import { verify } from "../access_token.mjs";

const adapter = new PrismaPg({ connectionString: process.env.PEER_DATABASE_URL, max: 16 });
const prisma = new PrismaClient({ adapter });
const app = express();
app.disable("x-powered-by");
app.set("etag", false);
app.use(express.json());

class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

const Id = z.uuid();
const List = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(400).optional(),
});
const NewOrder = z.strictObject({
  items: z
    .array(z.strictObject({ product_id: Id, quantity: z.number().int().min(1).max(10000) }))
    .min(1)
    .max(100),
});

const euros = (amount) => ({ amount: Number(amount), currency: "EUR" });

const COLUMNS = {
  id: true, sku: true, name: true, description: true, price: true, version: true, createdAt: true, updatedAt: true,
  stock: { select: { quantity: true } },
};

function present(product) {
  return {
    id: product.id,
    sku: product.sku,
    name: product.name,
    description: product.description,
    price: euros(product.price),
    stock: product.stock.quantity,
    version: product.version,
    created_at: product.createdAt.toISOString(),
    updated_at: product.updatedAt.toISOString(),
  };
}

app.get("/api/v1/products/:id", async (request, response) => {
  const id = Id.parse(request.params.id);
  const product = await prisma.product.findFirst({ where: { id, archivedAt: null }, select: COLUMNS });
  if (product === null) throw new Refused(404, "not found");
  response.json(present(product));
});

app.get("/api/v1/products", async (request, response) => {
  const { limit, cursor } = List.parse(request.query);
  // Prisma cannot sort by the first 64 characters of the name, which Orderly's index contains.
  const products = await prisma.product.findMany({
    where: { archivedAt: null },
    select: COLUMNS,
    orderBy: { id: "asc" },
    take: limit + 1,
    ...(cursor && { cursor: { id: Id.parse(cursor) }, skip: 1 }),
  });
  const page = products.slice(0, limit);
  const next = products.length > limit ? page.at(-1).id : null;
  response.json({ items: page.map(present), next_cursor: next });
});

app.post("/api/v1/orders", async (request, response) => {
  const userId = verify(request.headers.authorization);
  if (userId === null) throw new Refused(401, "unauthenticated");
  const wanted = new Map();
  for (const { product_id, quantity } of NewOrder.parse(request.body).items) {
    wanted.set(product_id, (wanted.get(product_id) ?? 0) + quantity);
  }
  // Locks the stock in the same sequence in all orders, so that they cannot deadlock.
  const ids = [...wanted.keys()].sort();
  const order = await prisma.$transaction(async (transaction) => {
    const products = await transaction.product.findMany({
      where: { id: { in: ids }, archivedAt: null },
      select: { id: true, sku: true, name: true, price: true },
    });
    if (products.length !== ids.length) throw new Refused(404, "not found");
    for (const id of ids) {
      const { count } = await transaction.stock.updateMany({
        where: { productId: id, quantity: { gte: wanted.get(id) } },
        data: { quantity: { decrement: wanted.get(id) } },
      });
      if (count === 0) throw new Refused(409, "insufficient stock");
    }
    const now = new Date();
    const id = v7();
    const items = products.map((product, position) => ({
      productId: product.id, position: position + 1, sku: product.sku, name: product.name,
      unitPrice: product.price, quantity: wanted.get(product.id),
    }));
    const total = items.reduce((sum, item) => sum + item.unitPrice * BigInt(item.quantity), 0n);
    const written = {
      id, number: `ORD-${id.slice(-8).toUpperCase()}`, userId, status: "PENDING", currency: "EUR", total,
      version: 1, createdAt: now, updatedAt: now,
    };
    await transaction.order.create({ data: written, select: { id: true } });
    await transaction.orderItem.createMany({ data: items.map((item) => ({ orderId: id, ...item })) });
    return { ...written, items };
  });
  response.status(201).json({
    id: order.id,
    number: order.number,
    status: order.status,
    user_id: userId,
    total: euros(order.total),
    version: 1,
    created_at: order.createdAt.toISOString(),
    items: order.items.map((item) => ({
      product_id: item.productId,
      sku: item.sku,
      name: item.name,
      unit_price: euros(item.unitPrice),
      quantity: item.quantity,
      subtotal: euros(item.unitPrice * BigInt(item.quantity)),
    })),
  });
});

app.use((error, _request, response, _next) => {
  const status = error instanceof z.ZodError ? 400 : (error.status ?? 500);
  if (status === 500) console.error(error);
  response.status(status).json({ error: error.message });
});

app.listen(Number(process.env.PEER_PORT), "127.0.0.1", 1024);
