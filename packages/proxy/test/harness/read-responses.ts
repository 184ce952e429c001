export { type ReadResponse, readResponses } from "@cirque/testing";
