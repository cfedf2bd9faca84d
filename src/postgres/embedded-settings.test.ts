import assert from "node:assert/strict";
import test from "node:test";
import { settingArguments, settingsFor } from "./embedded-settings.ts";

const place = { home: "/srv/p", data: "/srv/p/data", logFolder: "/srv/p/log" };

test("the server listens on its private socket only, whatever characters the path has", () => {
  const settings = settingsFor(place, '/srv/a,b "c"/socket');
  assert.equal(settings["listen_addresses"], "");
  assert.equal(settings["unix_socket_directories"], '"/srv/a,b ""c""/socket"');
  assert.equal(settings["unix_socket_permissions"], "0700");
});

test("nothing that makes a commit durable is ever set", () => {
  const names = Object.keys(settingsFor(place, "/srv/socket"));
  const durable = ["fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "data_sync_retry"];
  assert.deepEqual(
    names.filter((name) => durable.includes(name)),
    [],
  );
  assert.ok(names.length > 20);
});

test("settings become arguments", () => {
  assert.deepEqual(settingArguments({ jit: "off", port: "5432" }), ["-c", "jit=off", "-c", "port=5432"]);
});
