// The types of the library beside this file, from its package.
export { default } from "openapi-fetch";
export type * from "openapi-fetch";
