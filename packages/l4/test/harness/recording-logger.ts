export { type LogRecord, RecordingLogger } from "@cirque/testing";
