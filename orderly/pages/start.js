// Requests go to the same origin, so the browser keeps and sends the session cookies by itself:
// signing in by "Try it out" signs in every other operation on the page.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  docExpansion: "list",
  filter: true,
  validatorUrl: null,
});
