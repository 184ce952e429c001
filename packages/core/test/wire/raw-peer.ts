export { type Ending, RawPeer, settled } from "@cirque/testing";
