export { Recorder } from "@cirque/testing";
