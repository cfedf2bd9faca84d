// The keys of postlane.yaml: their types, limits, and what a problem says was expected. Defaults are not here but in
// config.ts, since some of them depend on other keys. docs/reference/configuration.md describes every key, and a test
// compares. A key stands here only when it does something.

import { addressProblem, parseMailbox } from "../mail/address.ts";
import { parseHost, parseListen, parseNetwork } from "./config-host.ts";
import { Type, type Properties, type Schema, type SchemaNode, type Static } from "./plain-schema.ts";
import { parseEncryptionKey } from "./encryption-key-text.ts";
import { parsePublicUrl } from "./public-url.ts";
import { parseDuration, parseRate, parseShare, parseSize, printDuration, printSize } from "./quantities.ts";

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Names of lanes and outlets; they become parts of environment variables, file names and metrics. */
const NAME_PATTERN = "^[a-z][a-z0-9_-]{0,31}$";
const NAME_EXPECTED = "a name of a-z, 0-9, _ and -, starting with a letter, at most 32 characters";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const MIB = 2 ** 20;

/** JSON of that size takes seconds to read, and nobody else is served meanwhile. */
const BODY_BYTES_MAX = 100_000_000;
const BODY_BYTES_MIN = 1000;

const RETRY_LIST_MAX = 50;
const HOST_EXPECTED = 'a host such as "relay.example.com:25" or "[::1]:25"';

const LISTEN_EXPECTED = 'an address with its port, such as "127.0.0.1:2580", or off';

const RETRY = Type.Union(
  [
    Type.Array(duration(SECOND_MS, 30 * DAY_MS, "5 min"), { minItems: 1, maxItems: RETRY_LIST_MAX }),
    mapping({
      first: Type.Optional(duration(SECOND_MS, 30 * DAY_MS, "15 min")),
      factor: Type.Optional(Type.Number({ minimum: 1, maximum: 100, expected: "a number from 1 to 100" })),
      cap: Type.Optional(duration(SECOND_MS, 30 * DAY_MS, "6 h")),
      jitter: Type.Optional(Type.Number({ minimum: 0, maximum: 1, expected: "a share from 0 to 1" })),
    }),
  ],
  { expected: `a list of 1 to ${RETRY_LIST_MAX} durations, or a mapping of first, factor, cap and jitter` },
);

const LANE = mapping({
  priority: Type.Optional(choice("transactional", "bulk")),
  outlets: Type.Optional(
    Type.Array(Type.String({ pattern: NAME_PATTERN, expected: "the name of an outlet" }), {
      minItems: 1,
      maxItems: 16,
      expected: "a list of 1 to 16 names of outlets",
    }),
  ),
  ttl: Type.Optional(duration(SECOND_MS, 365 * DAY_MS, "3 days")),
  unknown: Type.Optional(choice("resend", "hold")),
  unknown_grace: Type.Optional(duration(0, 30 * DAY_MS, "60 s")),
  dispatchers: Type.Optional(integer(1, 32)),
  retry: Type.Optional(RETRY),
  claim_ahead_max: Type.Optional(integer(1, 10_000)),
});

const HOST = Type.Refine(Type.String({ expected: HOST_EXPECTED }), (text) => parseHost(text) !== undefined);

const COMMAND_WORDS_MAX = 32;
const ALLOWED_MAX = 100;

const GAUGE = Type.Union(
  [
    mapping({
      type: Type.Literal("postfix"),
      config_dir: Type.Optional(filePath()),
      is_remote: Type.Optional(yesOrNo()),
    }),
    mapping({
      type: Type.Literal("command"),
      command: Type.Array(Type.String({ minLength: 1, maxLength: 1000, expected: "a word of the command" }), {
        minItems: 1,
        maxItems: COMMAND_WORDS_MAX,
        expected: `a list of 1 to ${COMMAND_WORDS_MAX} words, such as ["/usr/local/bin/relay-gauge"]`,
      }),
      spool: Type.Optional(filePath()),
      is_remote: Type.Optional(yesOrNo()),
    }),
  ],
  { expected: 'a mapping with a type, such as { type: postfix, config_dir: "/etc/postfix" }' },
);

const SMTP_OUTLET = mapping({
  type: Type.Literal("smtp"),
  hosts: Type.Array(
    Type.Union(
      [
        HOST,
        mapping({
          host: Type.String({ pattern: "^[A-Za-z0-9._:-]{1,253}$", expected: "a host name or an address" }),
          port: Type.Optional(integer(1, 65_535)),
          weight: Type.Optional(integer(1, 1000)),
        }),
      ],
      { expected: `${HOST_EXPECTED}, or a mapping of host, port and weight` },
    ),
    { minItems: 1, maxItems: 64, expected: 'a list of 1 to 64 hosts, such as ["127.0.0.1:25"]' },
  ),
  tls: Type.Optional(choice("off", "opportunistic", "required", "implicit")),
  auth: Type.Optional(
    mapping({
      user: Type.String({ minLength: 1, maxLength: 500, expected: "a user name (in quotes, if it is a number)" }),
      password: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 500,
          isSecret: true,
          expected: "a password (in quotes, if it is a number)",
        }),
      ),
      password_file: Type.Optional(filePath()),
    }),
  ),
  ca_file: Type.Optional(filePath()),
  helo_name: Type.Optional(
    Type.String({
      pattern: "^(?:[A-Za-z0-9._-]{1,253}|\\[[A-Za-z0-9.:]{2,60}\\])$",
      expected: "a host name, or an address in brackets",
    }),
  ),
  max_open: Type.Optional(integer(1, 10_000)),
  max_connections: Type.Optional(integer(1, 1000)),
  max_open_per_destination: Type.Optional(integer(1, 10_000)),
  messages_per_connection: Type.Optional(integer(1, 1_000_000)),
  connection_age: Type.Optional(duration(SECOND_MS, DAY_MS, "5 min")),
  idle: Type.Optional(duration(0, HOUR_MS, "5 s")),
  timeouts: Type.Optional(
    mapping({
      connect: phaseTimeout(),
      banner: phaseTimeout(),
      ehlo: phaseTimeout(),
      mail: phaseTimeout(),
      rcpt: phaseTimeout(),
      data: phaseTimeout(),
      block: phaseTimeout(),
      dot: phaseTimeout(),
    }),
  ),
  return_path: Type.Optional(choice("keep", "verp")),
  return_window: Type.Optional(duration(MINUTE_MS, 60 * DAY_MS, "8 days")),
  max_rate: Type.Optional(rate()),
  max_queue: Type.Optional(integer(1, 1_000_000)),
  max_plug: Type.Optional(integer(0, 1_000_000)),
  horizon: Type.Optional(duration(SECOND_MS, HOUR_MS, "30 s")),
  max_refusals: Type.Optional(share()),
  retry_outlet: Type.Optional(Type.String({ pattern: NAME_PATTERN, expected: "the name of an outlet" })),
  gauge: Type.Optional(GAUGE),
});

const CAPTURE_OUTLET = mapping({ type: Type.Literal("capture") });

const TLS = mapping({ cert_file: filePath(), key_file: filePath() });

/** The database takes a mail to 1,000 recipients at most. */
const RECIPIENTS_MAX = 1000;

const SMTP_DOOR = mapping({
  allow: Type.Optional(Type.Array(network(), { maxItems: 64, expected: 'a list of networks, such as ["10.0.0.0/8"]' })),
  ports: Type.Optional(named(listenAddress(), "a mapping of lanes, each with an address to listen at")),
  max_message: Type.Optional(sizeBetween(MIB / 16, 64 * MIB, "10 MiB")),
  max_reading: Type.Optional(sizeBetween(MIB, 4096 * MIB, "128 MiB")),
  max_recipients: Type.Optional(integer(1, RECIPIENTS_MAX)),
  max_sessions: Type.Optional(integer(1, 10_000)),
  max_sessions_per_client: Type.Optional(integer(1, 10_000)),
  max_errors: Type.Optional(integer(1, 1000)),
  idle: Type.Optional(duration(SECOND_MS, HOUR_MS, "5 min")),
});

/** Each signs all mail of its domain, which costs CPU: few are meant. */
const DKIM_KEYS_MAX = 64;

const DKIM = mapping({
  encryption_key: Type.Optional(encryptionKey()),
  encryption_key_file: Type.Optional(filePath()),
  keys: Type.Optional(
    Type.Array(
      mapping({
        domain: domain(),
        selector: Type.String({
          pattern: "^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$",
          expected: "a selector of letters, digits, - and .",
        }),
        private_key_file: filePath(),
      }),
      { maxItems: DKIM_KEYS_MAX, expected: `a list of up to ${DKIM_KEYS_MAX} keys` },
    ),
  ),
});

const CONFIG_SCHEMA = mapping({
  data_dir: Type.Optional(filePath()),
  database_url: Type.Optional(
    Type.String({
      pattern: "^postgres(?:ql)?://",
      isSecret: true,
      expected: "a PostgreSQL address such as postgres://user@host/database",
    }),
  ),
  from: Type.Optional(mailbox()),
  public_url: Type.Optional(publicUrl()),
  listen: Type.Optional(
    mapping({
      http: Type.Optional(listenAddress()),
      smtp: Type.Optional(listenAddress()),
      submission: Type.Optional(listenAddress()),
      submissions: Type.Optional(listenAddress()),
      returns: Type.Optional(listenAddress()),
    }),
  ),
  tls: Type.Optional(TLS),
  smtp: Type.Optional(SMTP_DOOR),
  http: Type.Optional(
    mapping({
      max_body: Type.Optional(bodySize("26 MB")),
      max_batch_body: Type.Optional(bodySize("26 MB")),
      max_connections: Type.Optional(integer(1, 100_000)),
      max_connections_per_client: Type.Optional(integer(1, 100_000)),
      request_time: Type.Optional(duration(SECOND_MS, HOUR_MS, "30 s")),
    }),
  ),
  returns: Type.Optional(mapping({ domain: Type.Optional(domain()) })),
  sendmail: Type.Optional(mapping({ spool: Type.Optional(filePath()) })),
  dkim: Type.Optional(DKIM),
  resolvers: Type.Optional(
    Type.Array(HOST, { minItems: 1, maxItems: 8, expected: 'a list of 1 to 8 name servers, such as ["127.0.0.1:53"]' }),
  ),
  webhooks: Type.Optional(
    mapping({
      allow: Type.Optional(
        Type.Array(
          Type.String({ pattern: "^[A-Za-z0-9._:-]{1,253}$", expected: "a host name or an address, without a port" }),
          {
            minItems: 1,
            maxItems: ALLOWED_MAX,
            expected: `a list of 1 to ${ALLOWED_MAX} hosts or addresses, such as ["10.0.0.5", "hooks.internal"]`,
          },
        ),
      ),
    }),
  ),
  lanes: Type.Optional(named(LANE, "a mapping of lanes, each under its name")),
  outlets: Type.Optional(named(Type.Union([CAPTURE_OUTLET, SMTP_OUTLET]), "a mapping of outlets, each under its name")),
  queue: Type.Optional(
    mapping({
      max_waiting: Type.Optional(integer(1000, 1_000_000_000)),
      max_size: Type.Optional(size("100 GB")),
      min_free_disk: Type.Optional(size("1 GB")),
    }),
  ),
  vacuum_alarm: Type.Optional(
    mapping({
      dead_rows: Type.Optional(integer(1000, 1_000_000_000)),
      held_for: Type.Optional(duration(SECOND_MS, DAY_MS, "30 s")),
      slot_wal: Type.Optional(size("5 GB")),
    }),
  ),
  no_progress_alarm: Type.Optional(duration(SECOND_MS, DAY_MS, "60 s")),
  rescue_grace: Type.Optional(duration(0, DAY_MS, "60 s")),
  guard_gap: Type.Optional(duration(SECOND_MS, 365 * DAY_MS, "1 hour")),
  lease: Type.Optional(duration(3 * SECOND_MS, 10 * MINUTE_MS, "15 s")),
  log_level: Type.Optional(choice(...LOG_LEVELS)),
});

export type ConfigInput = Static<typeof CONFIG_SCHEMA>;
export type LaneInput = Static<typeof LANE>;
export type SmtpOutletInput = Static<typeof SMTP_OUTLET>;

/** The schema as data. */
export const CONFIG_SCHEMA_NODE: SchemaNode = CONFIG_SCHEMA;

function mapping<const Given extends Properties>(properties: Given) {
  return Type.Object(properties, { expected: "a mapping of keys" });
}

function named<Value extends SchemaNode>(value: Value, expected: string) {
  return Type.Record(NAME_PATTERN, value, { expected, expectedName: NAME_EXPECTED });
}

function choice<const Name extends string>(...names: readonly Name[]): Schema<Name> {
  return Type.Enum(names, { expected: names.length === 1 ? names.join("") : `one of ${names.join(", ")}` });
}

function integer(minimum: number, maximum: number) {
  return Type.Integer({
    minimum,
    maximum,
    expected: `a whole number from ${minimum} to ${maximum.toLocaleString("en")}`,
  });
}

function rate() {
  return Type.Refine(Type.String({ expected: 'a rate such as "100/s" or "10,000/hr"' }), (text) => {
    const quantity = parseRate(text);
    return quantity.kind === "quantity" && quantity.value > 0;
  });
}

function share() {
  return Type.Refine(
    Type.String({ expected: 'a share from 0 % to 100 %, such as "5 %"' }),
    (text) => parseShare(text).kind === "quantity",
  );
}

function size(example: string) {
  return Type.Refine(
    Type.String({ expected: `a size such as "${example}"` }),
    (text) => parseSize(text).kind === "quantity",
  );
}

function bodySize(example: string) {
  const range = `from ${printSize(BODY_BYTES_MIN)} to ${printSize(BODY_BYTES_MAX)}`;
  return Type.Refine(Type.String({ expected: `a size ${range}, such as "${example}"` }), (text) => {
    const quantity = parseSize(text);
    return quantity.kind === "quantity" && quantity.value >= BODY_BYTES_MIN && quantity.value <= BODY_BYTES_MAX;
  });
}

function yesOrNo() {
  return Type.Boolean({ expected: "true or false" });
}

/** Port 0: any free one. */
function listenAddress() {
  return Type.Refine(
    Type.String({ expected: LISTEN_EXPECTED }),
    (text) => text === "off" || parseListen(text) !== undefined,
  );
}

function domain() {
  return Type.Refine(
    Type.String({ expected: 'a domain such as "returns.example.com"' }),
    (text) => addressProblem(`b@${text}`) === undefined,
  );
}

function encryptionKey() {
  return Type.Refine(
    Type.String({ isSecret: true, expected: "32 random octets in base64, as `openssl rand -base64 32` prints them" }),
    (text) => parseEncryptionKey(text) !== undefined,
  );
}

function publicUrl() {
  const expected = 'an address such as "https://mail.example.com", without a query; http only on this machine';
  return Type.Refine(Type.String({ expected }), (text) => parsePublicUrl(text) !== undefined);
}

function duration(minMs: number, maxMs: number, example: string) {
  const range = `from ${printDuration(minMs)} to ${printDuration(maxMs)}`;
  return Type.Refine(Type.String({ expected: `a duration ${range}, such as "${example}"` }), (text) => {
    const quantity = parseDuration(text);
    return quantity.kind === "quantity" && quantity.value >= minMs && quantity.value <= maxMs;
  });
}

function sizeBetween(minBytes: number, maxBytes: number, example: string) {
  const range = `from ${printSize(minBytes)} to ${printSize(maxBytes)}`;
  return Type.Refine(Type.String({ expected: `a size ${range}, such as "${example}"` }), (text) => {
    const quantity = parseSize(text);
    return quantity.kind === "quantity" && quantity.value >= minBytes && quantity.value <= maxBytes;
  });
}

function network() {
  return Type.Refine(
    Type.String({ expected: 'a network such as "10.0.0.0/8" or "fd00::/8"' }),
    (text) => parseNetwork(text) !== undefined,
  );
}

/** RFC 5321 §4.5.3.2 sets minimums that a test or a patient operator may want to leave; a second is the least sense. */
function phaseTimeout() {
  return Type.Optional(duration(SECOND_MS, HOUR_MS, "5 min"));
}

function filePath() {
  return Type.String({ minLength: 1, maxLength: 4096, expected: "a path" });
}

function mailbox() {
  const expected = 'a mailbox such as "Example <hello@example.com>"';
  return Type.Refine(Type.String({ expected }), (text) => parseMailbox(text).kind === "mailbox");
}
