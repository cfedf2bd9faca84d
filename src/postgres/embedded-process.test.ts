import assert from "node:assert/strict";
import test from "node:test";
import { isPostmaster, parsePidFile } from "./embedded-process.ts";

const LINES = ["4711", "/srv/data", "1790000000", "5432", "/srv/socket", "", "  5432001    196610", "ready   ", ""];

test("a complete pid file names the process, the socket's folder and that it is ready", () => {
  assert.deepEqual(parsePidFile(LINES.join("\n")), { pid: 4711, socketDir: "/srv/socket", isReady: true });
});

test("a server that starts is not ready, and has no socket at first", () => {
  const starting = [...LINES.slice(0, 7), "starting", ""].join("\n");
  assert.deepEqual(parsePidFile(starting), { pid: 4711, socketDir: "/srv/socket", isReady: false });
  assert.deepEqual(parsePidFile("4711\n/srv/data\n"), { pid: 4711, socketDir: "", isReady: false });
});

test("what is no pid file is none", () => {
  for (const text of ["", "\n", "-12\n", "pid\n", "0\n", "1.5\n"]) assert.equal(parsePidFile(text), undefined);
});

test("a living process that works elsewhere is not the server of a data directory", () => {
  assert.equal(isPostmaster(process.pid, "/usr"), false);
  assert.equal(isPostmaster(process.pid, "/no/such/folder"), false);
});
