// Settings of orval: a client with fetch, and schemas of zod, without a client.
const input = { target: "openapi.json" };
const baseUrl = `${process.env.SHOP_URL}/api/v1`;

export default {
  fetch: { input, output: { target: "client/orderly.ts", schemas: "client/model", client: "fetch", mode: "split", baseUrl } },
  zod: { input, output: { target: "client/orderly.zod.ts", client: "zod", mode: "single", override: { zod: { generateEachHttpStatus: true, generateReusableSchemas: true } } } },
};
