import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceUnits, UNIT_MARK, type ServiceFacts } from "./service-unit.ts";

const FACTS: ServiceFacts = {
  nodePath: "/usr/bin/node",
  mainPath: "/opt/postlane/dist/src/doors/cli/main.js",
  configFile: "/etc/postlane/postlane.yaml",
  dataDir: "/var/lib/postlane",
  user: "postlane",
  agentOutlets: [],
  agentWrites: [],
};

function linesOf(facts: ServiceFacts, name = "postlane.service"): readonly string[] {
  const unit = serviceUnits(facts).find((one) => one.name === name);
  return unit!.text.split("\n");
}

test("without a relay to measure there is one unit, and it has no right of root", () => {
  assert.deepEqual(
    serviceUnits(FACTS).map(({ name }) => name),
    ["postlane.service"],
  );
  const lines = linesOf(FACTS);
  assert.equal(lines[0], UNIT_MARK);
  for (const line of [
    "ExecStart=/usr/bin/node /opt/postlane/dist/src/doors/cli/main.js up --config /etc/postlane/postlane.yaml",
    "User=postlane",
    "StateDirectory=postlane",
    "EnvironmentFile=-/etc/postlane/environment",
    "KillMode=mixed",
    "CapabilityBoundingSet=",
  ]) {
    assert.ok(lines.includes(line), line);
  }
  assert.ok(!lines.some((line) => /^(?:MemoryDenyWriteExecute|ProcSubset|PrivateUsers)=/.test(line)));
});

test("an agent has a unit of its own with one capability, and the supervisor leaves it alone", () => {
  const facts = { ...FACTS, agentOutlets: ["bulk-mail"], agentWrites: ["/var/spool/postlane-postfix/bulk/returns"] };
  const main = linesOf(facts);
  assert.ok(main.includes("Environment=POSTLANE_OUTLETS__BULK_MAIL__GAUGE__IS_REMOTE=true"));
  const agent = linesOf(facts, "postlane-agent@.service");
  for (const line of [
    "ExecStart=/usr/bin/node /opt/postlane/dist/src/doors/cli/main.js agent --outlet %i --config /etc/postlane/postlane.yaml",
    "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
    "AmbientCapabilities=CAP_DAC_READ_SEARCH",
    "ReadWritePaths=-/var/spool/postlane-postfix/bulk/returns",
    "WantedBy=postlane.service",
  ]) {
    assert.ok(agent.includes(line), line);
  }
});

test("the spool of sendmail is open to the service where there is one", () => {
  assert.ok(!linesOf(FACTS).some((line) => line.startsWith("ReadWritePaths=")));
  assert.ok(
    linesOf({ ...FACTS, sendmailSpool: "/var/spool/postlane" }).includes("ReadWritePaths=-/var/spool/postlane"),
  );
});

test("a path is one word for systemd, whatever it holds", () => {
  const odd = { ...FACTS, mainPath: '/opt/100% "post"\\$lane/main.js' };
  const expected = String.raw`ExecStart=/usr/bin/node "/opt/100%% \"post\"\\$$lane/main.js" up --config /etc/postlane/postlane.yaml`;
  assert.ok(linesOf(odd).includes(expected));
});
