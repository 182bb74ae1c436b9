"""What is served outside the API: pages, the OpenAPI document and health checks."""
