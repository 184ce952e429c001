export { type JwtAuthenticationOptions, JwtModule, jwtAuthentication } from "./jwt-authentication.ts";
export type { JwtKeys } from "./key-source.ts";
