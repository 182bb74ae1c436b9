// With VITE_API=/api/v1, the page uses the API through this server, on its own origin.
export default {
  server: { proxy: { "/api": process.env.ORDERLY_URL ?? "http://localhost:8000" } },
};
