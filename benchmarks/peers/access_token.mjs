// The access tokens of Orderly, for the servers in Node.js.

import { createHmac, timingSafeEqual } from "node:crypto";

const key = Buffer.from(process.env.PEER_SIGNING_KEY, "latin1");

// Verify the access token (HS256), and return the user's id; null if it is not valid.
export function verify(authorization) {
  const [head, payload, signature] = (authorization ?? "").replace(/^Bearer /, "").split(".");
  if (!signature) return null;
  const expected = createHmac("sha256", key).update(`${head}.${payload}`).digest();
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
  return claims.exp > Date.now() / 1000 && claims.aud === "orderly" ? claims.sub : null;
}
