import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { ConfigError, printProblem } from "./config-error.ts";
import { CONFIG_SCHEMA_NODE } from "./config-schema.ts";
import type { SchemaNode } from "./plain-schema.ts";
import { loadConfig, type Config, type SmtpOutletConfig } from "./config.ts";

const DAY_MS = 86_400_000;
const documentText = readFileSync(new URL("../../../docs/reference/configuration.md", import.meta.url), "utf8");

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(path.join(tmpdir(), "postlane-config-"));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

function load(yaml?: string, env: Record<string, string> = {}): Config {
  if (yaml !== undefined) writeFileSync(path.join(cwd, "postlane.yaml"), yaml);
  return loadConfig({ cwd, env, hostname: "web1.example.com" });
}

/** The problems as people read them, in the order of their text. */
function problemsOf(action: () => unknown): readonly string[] {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.code, "config_invalid");
    for (const problem of error.problems) assert.ok(error.message.includes(printProblem(problem)));
    return error.problems.map(printProblem);
  }
  assert.fail("the configuration was taken");
}

function smtpOutlet(config: Config, name: string): SmtpOutletConfig {
  const outlet = config.outlets[name];
  return outlet?.type === "smtp" ? outlet : assert.fail(`no smtp outlet ${name}`);
}

const laneOf = (config: Config, name: string) => config.lanes[name];
/** To compare with what is read without a file. */
function withoutFile(config: Config): Config {
  return Object.fromEntries(Object.entries(config).filter(([key]) => key !== "file")) as unknown as Config;
}

/** The YAML blocks of the page, in order. */
function documentedYaml(): readonly string[] {
  return Array.from(documentText.matchAll(/```yaml\n([\s\S]*?)```/g), ([, yaml = ""]) => yaml);
}

test("without a file and variables everything has a default", () => {
  const config = load();
  assert.equal(config.file, undefined);
  assert.equal(config.dataDir, path.join(cwd, "postlane-data"));
  assert.equal(config.databaseUrl, undefined);
  assert.equal(config.from, "Postlane <postlane@web1.example.com>");
  const dir = path.join(cwd, "postlane-data", "capture", "default");
  assert.deepEqual(config.outlets, {
    default: { name: "default", type: "capture", dir, openMax: 60, openPerDestinationMax: 60 },
  });
  assert.deepEqual(laneOf(config, "transactional"), {
    name: "transactional",
    priority: "transactional",
    outlets: ["default"],
    ttlMs: 3 * DAY_MS,
    unknownPolicy: "resend",
    unknownGraceMs: 60_000,
    dispatchers: 1,
    retry: { kind: "list", delaysMs: [15_000, 60_000, 300_000, 900_000, 1_800_000] },
    claimAheadMax: 200,
  });
  assert.equal(laneOf(config, "bulk")?.unknownPolicy, "hold");
  assert.equal(laneOf(config, "bulk")?.ttlMs, 7 * DAY_MS);
  assert.deepEqual(JSON.parse(JSON.stringify(config)), config);
});

test("a machine whose name is no domain gets a sender that is nobody's", () => {
  assert.equal(loadConfig({ cwd, env: {}, hostname: "laptop" }).from, "Postlane <postlane@localhost.localdomain>");
});

test("the documented defaults change nothing", () => {
  const [defaults = "", relay = ""] = documentedYaml();
  const nothing = load();
  assert.deepEqual(withoutFile(load(defaults)), nothing);
  const short = load('outlets: { relay: { type: smtp, hosts: ["relay.example.com"] } }');
  assert.deepEqual(load(relay), short);
});

test("every key is documented, and every documented key exists", () => {
  const documented = Array.from(documentText.matchAll(/^\| `([\w.[\]]+)` \|/gm), ([, key = ""]) => key);
  assert.deepEqual(documented.toSorted(), [...new Set(schemaKeys(CONFIG_SCHEMA_NODE, ""))].toSorted());
});

/** The keys at the ends of the schema, as the page writes them. */
function schemaKeys(node: SchemaNode, prefix: string): readonly string[] {
  const below = (child: SchemaNode, key: string) => schemaKeys(child, prefix === "" ? key : `${prefix}.${key}`);
  if (node.properties) return Object.entries(node.properties).flatMap(([key, child]) => below(child, key));
  if (node.patternProperties) {
    const name = prefix === "outlets" ? "OUTLET" : "LANE";
    return Object.values(node.patternProperties).flatMap((child) => below(child, name));
  }
  const items = node.items?.anyOf ?? [];
  const inside = [
    ...(node.anyOf ?? []).flatMap((branch) => schemaKeys(branch, prefix)),
    ...items.flatMap((branch) => schemaKeys(branch, `${prefix}[]`)),
  ];
  const isWholeToo = node.anyOf === undefined || node.anyOf.some((branch) => branch.type === "array");
  return [...(isWholeToo && !prefix.endsWith("]") ? [prefix] : []), ...inside];
}

test("the documented example of an error is what is printed", () => {
  const [, example = ""] = /```\n(the configuration has[\s\S]*?)\n```/.exec(documentText) ?? [];
  const yaml =
    'lanes:\n  bulk:\n    outlets: [relay]\n    tll: "3 days"\noutlets:\n  relay:\n    type: smtp\n    hosts: [relay.example.com]\n    idle: "5"\n';
  assert.throws(() => load(yaml), { message: example });
});

test("quantities are read, and what is given stands beside the defaults of the rest", () => {
  const config = load(`
data_dir: data
database_url: postgres://site@db.example.com/site
from: "Example <hello@example.com>"
lanes:
  bulk: { ttl: "2 weeks", retry: ["1 min", "1 h 30 min"], outlets: [relay, default] }
  resets: { priority: transactional }
  news:
outlets:
  relay:
    type: smtp
    hosts: ["mx1.example.com:2525", "[2001:db8::1]", { host: mx2.example.com, weight: 3 }]
    max_open: 10
    timeouts: { dot: "1 min", ehlo: "2 s" }
`);
  assert.equal(config.file, path.join(cwd, "postlane.yaml"));
  assert.equal(config.dataDir, path.join(cwd, "data"));
  assert.equal(config.databaseUrl, "postgres://site@db.example.com/site");
  assert.deepEqual(
    Object.values(config.lanes).map(({ name, priority }) => `${name} ${priority}`),
    ["transactional transactional", "bulk bulk", "resets transactional", "news bulk"],
  );
  assert.equal(laneOf(config, "resets")?.unknownPolicy, "resend");
  assert.equal(laneOf(config, "bulk")?.ttlMs, 14 * DAY_MS);
  assert.deepEqual(laneOf(config, "bulk")?.retry, { kind: "list", delaysMs: [60_000, 5_400_000] });
  const relay = smtpOutlet(config, "relay");
  assert.deepEqual(relay.hosts, [
    { host: "mx1.example.com", port: 2525, weight: 1 },
    { host: "2001:db8::1", port: 25, weight: 1 },
    { host: "mx2.example.com", port: 25, weight: 3 },
  ]);
  assert.equal(relay.openPerDestinationMax, 10);
  assert.deepEqual([relay.timeouts.dotMs, relay.timeouts.authMs, relay.timeouts.dataMs], [60_000, 2000, 120_000]);
});

test("implicit TLS has its own port and verifies", () => {
  const config = load(
    'outlets: { relay: { type: smtp, hosts: ["relay.example.com", "relay.example.com:10465"], tls: implicit } }',
  );
  const { hosts, tls, implicitTls } = smtpOutlet(config, "relay");
  assert.deepEqual([hosts.map(({ port }) => port), tls, implicitTls], [[465, 10_465], "required", true]);
});

test("a file is named by argument or variable, and its folder is where paths begin", () => {
  mkdirSync(path.join(cwd, "etc"));
  writeFileSync(path.join(cwd, "etc", "my.yaml"), "data_dir: data\n");
  for (const named of [
    { file: "etc/my.yaml", env: { POSTLANE_CONFIG: "elsewhere.yaml" } },
    { env: { POSTLANE_CONFIG: path.join(cwd, "etc/my.yaml") } },
  ]) {
    const config = loadConfig({ cwd, ...named });
    assert.equal(config.dataDir, path.join(cwd, "etc", "data"));
    assert.equal(config.file, path.join(cwd, "etc", "my.yaml"));
  }
  assert.deepEqual(
    problemsOf(() => loadConfig({ cwd, file: "none.yaml", env: {} })),
    [`--config: found no file ${path.join(cwd, "none.yaml")}, expected the configuration file`],
  );
  assert.match(
    problemsOf(() => load(undefined, { POSTLANE_CONFIG: "none.yaml" }))[0] ?? "",
    /^POSTLANE_CONFIG: found no file/,
  );
});

test("all problems are listed, each with its line, key, what was found and what was expected", () => {
  const yaml = `log_levl: info
lanes:
  bulk:
    ttl: 3 fortnights
    unknown: holdd
    dispatchers: 0
    outlets: [defualt]
  Big News: {}
outlets:
  relay:
    type: smpt
  other:
    type: smtp
    hosts: ["mx:99999", 7]
    timeouts: { bannner: 5 s }
  third: { type: smtp }
lease: 20
`;
  assert.deepEqual(
    problemsOf(() => load(yaml)).map((line) => line.replace(/expected one of \w+(?:, \w+){3,}/, "expected one of …")),
    [
      'postlane.yaml:1: log_levl: found a key that does not exist, expected one of …; did you mean "log_level"?',
      'postlane.yaml:4: lanes.bulk.ttl: found "3 fortnights", expected a duration from 1 s to 365 days, such as "3 days"',
      'postlane.yaml:5: lanes.bulk.unknown: found "holdd", expected one of resend, hold; did you mean "hold"?',
      "postlane.yaml:6: lanes.bulk.dispatchers: found 0, expected a whole number from 1 to 32",
      'postlane.yaml:8: lanes.Big News: found the name "Big News", expected a name of a-z, 0-9, _ and -, starting with a letter, at most 32 characters',
      'postlane.yaml:11: outlets.relay.type: found "smpt", expected one of capture, smtp; did you mean "smtp"?',
      'postlane.yaml:14: outlets.other.hosts[0]: found "mx:99999", expected a host such as "relay.example.com:25" or "[::1]:25"',
      'postlane.yaml:14: outlets.other.hosts[1]: found 7, expected a host such as "relay.example.com:25" or "[::1]:25", or a mapping of host, port and weight',
      'postlane.yaml:15: outlets.other.timeouts.bannner: found a key that does not exist, expected one of …; did you mean "banner"?',
      'postlane.yaml:16: outlets.third.hosts: found nothing, expected a list of 1 to 64 hosts, such as ["127.0.0.1:25"]',
      'postlane.yaml:17: lease: found 20, expected a duration from 3 s to 10 min, such as "15 s"',
      'postlane.yaml:7: lanes.bulk.outlets[0]: found "defualt", which is not an outlet, expected one of …; did you mean "default"?',
    ],
  );
});

test("keys are checked against each other", () => {
  const relay = (rest: string) => `outlets: { relay: { type: smtp, ${rest} } }`;
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      "lanes: { bulk: { outlets: [] } }",
      /lanes\.bulk\.outlets: found an empty list, expected a list of 1 to 16 names of outlets/,
    ],
    ["lanes: { bulk: { outlets: [default, default] } }", /lanes\.bulk\.outlets\[1\]: found "default" twice/],
    ['lanes: { bulk: { retry: { first: "2 h", cap: "1 h" } } }', /lanes\.bulk\.retry\.cap: found less than first/],
    [
      relay("hosts: [mx.example.com], tls: off, auth: { user: u, password: p }"),
      /outlets\.relay\.tls: found off, with a password for mx\.example\.com/,
    ],
    [
      relay("hosts: [{ host: 192.0.2.1 }], tls: off, auth: { user: u, password: p }"),
      /found off, with a password for 192\.0\.2\.1/,
    ],
    [
      relay("hosts: [mx.example.com], auth: { user: u }"),
      /auth\.password: found nothing, expected password or password_file/,
    ],
    [
      relay("hosts: [mx.example.com], auth: { user: u, password: p, password_file: none }"),
      /found both password and password_file/,
    ],
  ];
  for (const [yaml, pattern] of cases) {
    const problems = problemsOf(() => load(yaml));
    assert.ok(
      problems.some((problem) => pattern.test(problem)),
      `${yaml}\n${problems.join("\n")}`,
    );
  }
  for (const host of ["127.0.0.1:25", "localhost", "[::1]:25"]) {
    const config = load(relay(`hosts: ["${host}"], tls: off, auth: { user: u, password: p }`));
    assert.deepEqual(smtpOutlet(config, "relay").auth, { user: "u", password: "p" });
  }
});

test("a password and certificates may come from files", () => {
  writeFileSync(path.join(cwd, "secret"), "tr0ub4dor\n");
  writeFileSync(path.join(cwd, "ca.pem"), "-----BEGIN CERTIFICATE-----\n");
  const outlet = (passwordFile: string) =>
    `outlets: { relay: { type: smtp, hosts: [a.example.com], ca_file: ca.pem, auth: { user: u, password_file: ${passwordFile} } } }`;
  const relay = smtpOutlet(load(outlet("secret")), "relay");
  assert.deepEqual([relay.auth, relay.ca], [{ user: "u", password: "tr0ub4dor" }, "-----BEGIN CERTIFICATE-----"]);
  assert.match(
    problemsOf(() => load(outlet("none")))[0] ?? "",
    /^postlane\.yaml:1: outlets\.relay\.auth\.password_file: found .*none, which cannot be read \(ENOENT\)/,
  );
});

test("variables go before the file, whatever their case, and their text is read as the key wants it", () => {
  const config = load(
    'lanes: { bulk: { ttl: "1 day" } }\noutlets: { my-relay: { type: smtp, hosts: [mx.example.com] } }\n',
    {
      POSTLANE_LANES__BULK__TTL: "3 days",
      postlane_lanes__bulk__dispatchers: "2",
      POSTLANE_LANES__BULK__RETRY: "1 min, 5 min",
      POSTLANE_LANES__TRANSACTIONAL__RETRY: '{ first: "1 min", factor: 3 }',
      POSTLANE_LANES__TRANSACTIONAL__RETRY__CAP: "2 h",
      POSTLANE_OUTLETS__MY_RELAY__HOSTS: "mx1.example.com, [::1]:26",
      POSTLANE_OUTLETS__MY_RELAY__GAUGE: "{ type: postfix }",
      POSTLANE_OUTLETS__MY_RELAY__GAUGE__IS_REMOTE: "true",
      POSTLANE_OUTLETS__MY_RELAY__AUTH__USER: "12345",
      POSTLANE_OUTLETS__MY_RELAY__AUTH__PASSWORD: "{0: not YAML, [",
      POSTLANE_LOG_LEVEL: "",
      DATABASE_URL: "postgres://one@localhost/site",
    },
  );
  const bulk = laneOf(config, "bulk");
  assert.deepEqual([bulk?.ttlMs, bulk?.dispatchers], [3 * DAY_MS, 2]);
  assert.deepEqual(bulk?.retry, { kind: "list", delaysMs: [60_000, 300_000] });
  assert.deepEqual(laneOf(config, "transactional")?.retry, {
    kind: "exponential",
    firstMs: 60_000,
    factor: 3,
    capMs: 7_200_000,
    jitter: 0.2,
  });
  const relay = smtpOutlet(config, "my-relay");
  assert.deepEqual(
    relay.hosts.map(({ host, port }) => `${host} ${port}`),
    ["mx1.example.com 25", "::1 26"],
  );
  assert.deepEqual(relay.auth, { user: "12345", password: "{0: not YAML, [" });
  assert.equal(relay.gauge?.isRemote, true);
  assert.equal(config.logLevel, "info");
  assert.equal(config.databaseUrl, "postgres://one@localhost/site");
  const both = {
    DATABASE_URL: "postgres://one@localhost/site",
    POSTLANE_DATABASE_URL: "postgres://two@localhost/site",
  };
  assert.equal(load("database_url: postgres://three@localhost/site", both).databaseUrl, both.POSTLANE_DATABASE_URL);
});

test("a variable that is wrong is named", () => {
  const env = {
    POSTLANE_LANES__BULK__TLL: "3 days",
    POSTLANE_LANES__BULK__TTL: "soon",
    POSTLANE_LANES____PROTO____TTL: "1 s",
    POSTLANE_OUTLETS__RELAY__TYPE: "smtp",
    POSTLANE_: "1",
    DATABASE_URL: "mysql://user:swordfish@host/db",
  };
  const problems = problemsOf(() => load(undefined, env));
  assert.equal(problems.length, 7, problems.join("\n"));
  assert.deepEqual(
    problems.filter((problem) => problem.startsWith("postlane.yaml")),
    [],
  );
  const find = (variable: string) => problems.find((problem) => problem.startsWith(`${variable}: `)) ?? "";
  assert.match(
    find("POSTLANE_LANES__BULK__TLL"),
    /lanes\.bulk\.tll: found a key that does not exist, .*; did you mean "ttl"\?$/,
  );
  assert.match(find("POSTLANE_LANES__BULK__TTL"), /lanes\.bulk\.ttl: found "soon", expected a duration/);
  assert.match(find("POSTLANE_LANES____PROTO____TTL"), /found the name ""/);
  assert.match(
    find("POSTLANE_OUTLETS__RELAY__TYPE"),
    /outlets\.relay\.hosts: found nothing, expected a list of 1 to 64 hosts/,
  );
  assert.match(find("POSTLANE_"), /found a key that does not exist/);
  assert.match(find("DATABASE_URL"), /database_url: found something else \(not shown\)/);
});

test("variables that are not keys are left alone", () => {
  const env = {
    POSTLANE_TEST_REQUIRE_ALL: "1",
    POSTLANE_SERVICE_HOST: "10.0.0.1",
    POSTLANE_PORT_2580_TCP: "tcp://10.0.0.1:2580",
    POSTLANE_PORT: "tcp://10.0.0.1:2580",
    POSTLANE_KEY: "plk_1_x",
    POSTLANE_SMTP: "127.0.0.1:2525",
    POSTLANE_SPOOL: "/var/spool/postlane",
    POSTLANE_SENDMAIL_CONFIG: "/etc/postlane/sendmail.json",
    PATH: "/bin",
  };
  assert.deepEqual(load(undefined, env), load());
});

test("secrets are never shown", () => {
  const problems = problemsOf(() =>
    load("outlets: { relay: { type: smtp, hosts: [a.example.com], auth: { user: u, password: 4711 } } }"),
  );
  assert.equal(problems.length, 1);
  assert.match(
    problems[0] ?? "",
    /found something else \(not shown\), expected a password \(in quotes, if it is a number\)/,
  );
});

test("YAML that cannot be read is told by line, all mistakes at once", () => {
  const problems = problemsOf(() => load('from: "a\nlanes:\n  bulk: {}\n  bulk: {}\n'));
  assert.ok(problems.every((problem) => /^postlane\.yaml:\d+: found a mistake in the YAML \(/.test(problem)));
  const twice = problemsOf(() => load("lease: 15 s\nlog_level: info\nlease: 15 s\nlog_level: warn\n"));
  assert.deepEqual(
    twice.map((problem) => problem.split(": ")[0]),
    ["postlane.yaml:3", "postlane.yaml:4"],
  );
  assert.match(
    problemsOf(() => load("- a\n- b\n"))[0] ?? "",
    /^postlane\.yaml:1: found a list, expected a mapping of keys/,
  );
  assert.match(problemsOf(() => load("lanes: [a]\n"))[0] ?? "", /lanes: found a list, expected a mapping of lanes/);
});

test("an empty file, comments and keys with nothing behind them mean the defaults", () => {
  const nothing = load();
  for (const yaml of [
    "",
    "# nothing yet\n",
    "lanes:\nfrom:\n",
    "lanes:\n  bulk:\n",
    "lanes: { bulk: { ttl: , retry: } }\n",
  ]) {
    assert.deepEqual(withoutFile(load(yaml)), nothing, yaml);
  }
});

test("what stands behind an anchor is told by the line where it is written", () => {
  const yaml = "lanes:\n  bulk: &mass\n    ttl: never\n  news: *mass\n";
  const lines = problemsOf(() => load(yaml)).map((problem) => problem.split(": found")[0]);
  assert.deepEqual(lines, ["postlane.yaml:3: lanes.bulk.ttl", "postlane.yaml:3: lanes.news.ttl"]);
  const config = load(yaml.replace("never", "1 day"), { POSTLANE_LANES__NEWS__TTL: "2 days" });
  assert.deepEqual([laneOf(config, "bulk")?.ttlMs, laneOf(config, "news")?.ttlMs], [DAY_MS, 2 * DAY_MS]);
  for (const endless of ["lanes: &a { bulk: *a }\n", "lanes: &a [*a]\n"]) {
    assert.match(problemsOf(() => load(endless))[0] ?? "", /found anchors or nesting that cannot be followed/);
  }
});

test("a key that happens to be a name of every object is as unknown as any other", () => {
  for (const key of ["constructor", "toString", "__proto__"]) {
    assert.match(problemsOf(() => load(`${key}: 1\n`))[0] ?? "", /found a key that does not exist/);
  }
});

test("the SMTP door listens on this machine, and with a certificate for everybody", () => {
  const { listeners, certificate, limits, allow } = load().smtp;
  assert.deepEqual(listeners, [{ kind: "smtp", listen: { host: "127.0.0.1", port: 2525 } }]);
  assert.equal(certificate, undefined);
  assert.deepEqual(allow, []);
  assert.deepEqual([limits.messageBytesMax, limits.recipientsMax, limits.idleMs], [10_485_760, 1000, 300_000]);
  const door = load(`
listen: { smtp: off, submissions: "[::]:465" }
tls: { cert_file: tls/cert.pem, key_file: /etc/key.pem }
smtp: { ports: { bulk: "127.0.0.1:2535" }, allow: ["10.0.0.0/8", "fd00::1"], max_message: "1 MiB" }
`).smtp;
  assert.deepEqual(door.listeners, [
    { kind: "smtp", listen: { host: "127.0.0.1", port: 2535 }, lane: "bulk" },
    { kind: "submission", listen: { host: "0.0.0.0", port: 587 } },
    { kind: "submissions", listen: { host: "::", port: 465 } },
  ]);
  assert.deepEqual(door.certificate, { certFile: path.join(cwd, "tls/cert.pem"), keyFile: "/etc/key.pem" });
  assert.deepEqual(door.allow, [
    { address: "10.0.0.0", prefix: 8 },
    { address: "fd00::1", prefix: 128 },
  ]);
});

test("what the SMTP door cannot be is said", () => {
  const problems = problemsOf(() =>
    load(`
listen: { submission: "0.0.0.0:587" }
smtp:
  ports: { bulkk: "127.0.0.1:2535" }
  allow: ["10.0.0.0/33"]
  max_message: "100 MiB"
  max_reading: "2 MiB"
  max_recipients: 1001
`),
  );
  const keys = ["listen.submission", "smtp.allow[0]", "smtp.max_message", "smtp.max_reading", "smtp.max_recipients"];
  for (const key of [...keys, "smtp.ports.bulkk"]) assert.ok(problems.join("\n").includes(`${key}: `), key);
  assert.match(problems.join("\n"), /smtp\.ports\.bulkk: .* did you mean "bulk"\?/);
  assert.equal(problems.length, 6);
});

test("the key that DKIM keys are sealed under: a file of the data directory, another file, or given; and keys from files", () => {
  const made = path.join(cwd, "postlane-data", "secrets", "dkim.key");
  assert.deepEqual(load().dkim, { encryptionKey: { kind: "file", file: made, isNamed: false }, keys: [] });
  const named = load(
    "dkim: { encryption_key_file: dkim.key, keys: [{ domain: Bücher.example, selector: S1, private_key_file: s1.pem }] }",
  );
  assert.deepEqual(named.dkim, {
    encryptionKey: { kind: "file", file: path.join(cwd, "dkim.key"), isNamed: true },
    keys: [{ domain: "xn--bcher-kva.example", selector: "s1", file: path.join(cwd, "s1.pem") }],
  });
  const text = Buffer.alloc(32, 7).toString("base64");
  const given = load("", { POSTLANE_DKIM__ENCRYPTION_KEY: text });
  assert.deepEqual(given.dkim.encryptionKey, { kind: "given", text });
  const [short = "", ...others] = problemsOf(() => load("", { POSTLANE_DKIM__ENCRYPTION_KEY: "hunter2" }));
  assert.match(short, /^POSTLANE_DKIM__ENCRYPTION_KEY: .*not shown.*openssl rand -base64 32/);
  assert.ok(!short.includes("hunter2"));
  assert.deepEqual(others, []);
  const key = "{ domain: example.com, selector: s1, private_key_file: s1.pem }";
  const wrong = `dkim:\n  encryption_key: ${text}\n  encryption_key_file: dkim.key\n  keys: [${key}, ${key.replace("s1,", "S1,")}]\n`;
  const problems = problemsOf(() => load(wrong)).join("\n");
  assert.match(problems, /dkim\.encryption_key_file: found both/);
  assert.match(problems, /dkim\.keys\[1\]\.selector: found "S1\._domainkey\.example\.com" twice/);
});
