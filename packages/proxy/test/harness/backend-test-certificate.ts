export { certificate, privateKey } from "@cirque/testing";
