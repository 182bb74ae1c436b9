const api = import.meta.env.VITE_API ?? "http://localhost:8000/api/v1";

async function send(method, path, body) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  const request = { method, headers, body: JSON.stringify(body), credentials: "include" };
  const response = await fetch(api + path, request);
  const content = await response.json();
  if (!response.ok) throw new Error(`${content.title}: ${content.detail}`);
  return content;
}

document.querySelector("button").addEventListener("click", async () => {
  await send("POST", "/auth/login", { email: "ada@example.com", password: "brew-42-slow-mornings" });
  const { items: [grinder] } = await send("GET", "/products?q=hand%20grinder");
  const order = await send("POST", "/orders", { items: [{ product_id: grinder.id, quantity: 1 }] });
  document.querySelector("output").textContent = `${order.number} is ${order.status}`;
});
