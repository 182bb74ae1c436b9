// The types of openapi-fetch.js, from its npm package.
export { default } from "openapi-fetch";
export type * from "openapi-fetch";
