// The configuration: `postlane.yaml` and the environment over it, checked as a whole, with every default filled in and
// every quantity read. Every key is optional; without a file and variables everything has its default, and mail goes
// into `capture`. Throws one ConfigError that lists all problems. Plain data: it may be passed to a child as JSON.

import { hostname as machineName } from "node:os";
import path from "node:path";
import { domainToASCII } from "node:url";
import { addressProblem } from "../mail/address.ts";
import type { LanePriority, LaneSettings, RetryExponential, RetryList, RetrySchedule } from "../mail/lane.ts";
import { checkAgainstSchema, checkTogether, readNamedFiles, withoutNulls, type Report } from "./config-check.ts";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { parseHost, parseListen, parseNetwork } from "./config-host.ts";
import {
  CONFIG_SCHEMA_NODE,
  type ConfigInput,
  type LaneInput,
  type LogLevel,
  type SmtpOutletInput,
} from "./config-schema.ts";
import { printKeys, readConfigSource, type Environment } from "./config-source.ts";
import { parsePublicUrl } from "./public-url.ts";
import { parseDuration, parseRate, parseShare, parseSize, type Quantity } from "./quantities.ts";

export interface Config {
  /** The file that was read, absolute; absent when there was none. */
  readonly file?: string;
  /** Absolute. */
  readonly dataDir: string;
  /** Absent: the embedded database. */
  readonly databaseUrl?: string;
  /** The mailbox that mail without a sender of its own comes from. */
  readonly from: string;
  /** Where the world reaches the front, without a slash at its end; absent: there is no page to unsubscribe. */
  readonly publicUrl?: string;
  /** By name; `transactional` and `bulk` are always there. */
  readonly lanes: Readonly<Record<string, LaneSettings>>;
  /** By name; `default` is always there. */
  readonly outlets: Readonly<Record<string, OutletConfig>>;
  /** Where the front listens; absent: it does not. */
  readonly listen: { readonly http?: ListenAddress; readonly returns?: ListenAddress };
  readonly smtp: SmtpDoorConfig;
  readonly http: HttpConfig;
  /** The domain of return paths that Postlane reads; absent: nothing comes home. */
  readonly returnsDomain?: string;
  /** Absolute: where the sendmail command keeps mail that the front hands over; absent: the front looks nowhere. */
  readonly sendmailSpool?: string;
  readonly dkim: DkimConfig;
  /** Name servers, `address:port`; none: the system's. */
  readonly resolvers: readonly string[];
  /** Hosts and addresses inside the machine or its network that webhooks may go to all the same. */
  readonly webhookAllow: readonly string[];
  readonly noProgressAlarmMs: number;
  /** From when on it is told that vacuum is held back. */
  readonly vacuumAlarm: { readonly deadRows: number; readonly heldForMs: number; readonly slotWalBytes: number };
  readonly rescueGraceMs: number;
  /** How long the last heartbeat may be past, with bulk mail in flight, before the guard asks. */
  readonly guardGapMs: number;
  /** Up to where mail is taken in. */
  readonly queue: { readonly waitingMax: number; readonly databaseBytesMax: number; readonly freeDiskBytesMin: number };
  readonly leaseMs: number;
  readonly logLevel: LogLevel;
}

export interface DkimConfig {
  /** What the private keys in the database are sealed under. Not named: a file of the data directory, which may be made. */
  readonly encryptionKey:
    | { readonly kind: "given"; readonly text: string }
    | { readonly kind: "file"; readonly file: string; readonly isNamed: boolean };
  /** Keys that are read from files, beside those of the database; the file is absolute. */
  readonly keys: readonly { readonly domain: string; readonly selector: string; readonly file: string }[];
}

export interface ListenAddress {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** The SMTP door. */
export interface SmtpDoorConfig {
  /** None: it is closed. */
  readonly listeners: readonly SmtpListenerConfig[];
  /** Absolute; absent: no TLS. */
  readonly certificate?: { readonly certFile: string; readonly keyFile: string };
  /** Networks whose clients need no key on plain listeners. */
  readonly allow: readonly { readonly address: string; readonly prefix: number }[];
  readonly limits: {
    readonly messageBytesMax: number;
    /** Of all mails that are being read at once. */
    readonly readingBytesMax: number;
    readonly recipientsMax: number;
    readonly sessionsMax: number;
    readonly sessionsPerClientMax: number;
    readonly errorsMax: number;
    readonly idleMs: number;
  };
  /** What it calls itself: this machine's name. */
  readonly host: string;
}

export interface SmtpListenerConfig {
  /** `smtp`: plain; `submission`: STARTTLS and a key; `submissions`: TLS from the first octet, and a key. */
  readonly kind: "smtp" | "submission" | "submissions";
  readonly listen: ListenAddress;
  /** Of mail that names none; absent: the first of the key's. */
  readonly lane?: string;
}

/** Limits of what clients of the HTTP door may do. */
export interface HttpConfig {
  readonly bodyBytesMax: number;
  readonly batchBodyBytesMax: number;
  readonly connectionsMax: number;
  readonly connectionsPerClientMax: number;
  /** Until a whole request is there. */
  readonly requestMsMax: number;
}

export type OutletConfig = CaptureOutletConfig | SmtpOutletConfig;

interface OutletLimits {
  readonly name: string;
  /** Hand-overs open at once. */
  readonly openMax: number;
  readonly openPerDestinationMax: number;
}

interface CaptureOutletConfig extends OutletLimits {
  readonly type: "capture";
  /** Absolute: the Maildir that keeps the mail. */
  readonly dir: string;
}

export interface SmtpOutletConfig extends OutletLimits {
  readonly type: "smtp";
  readonly hosts: readonly { readonly host: string; readonly port: number; readonly weight: number }[];
  readonly tls: "off" | "opportunistic" | "required";
  /** TLS from the first octet, with a certificate that verifies. */
  readonly implicitTls: boolean;
  readonly auth?: { readonly user: string; readonly password: string };
  /** Certificates in PEM to trust in place of the system's. */
  readonly ca?: string;
  readonly heloName: string;
  readonly connectionsMax: number;
  readonly messagesPerConnectionMax: number;
  readonly connectionAgeMsMax: number;
  readonly idleMs: number;
  readonly timeouts: SmtpTimeoutsConfig;
  readonly returnPath: "keep" | "verp";
  /** How long a hop may still report back on what it took. */
  readonly returnWindowMs: number;
  /** Hand-overs per second, whatever the relay could take. Absent: the governor alone decides. */
  readonly maxRatePerS?: number;
  /** The relay's working queue is never meant to be longer. */
  readonly maxQueue: number;
  /** Deferred mail that the relay may hold. */
  readonly maxPlug: number;
  /** The working queue is kept at what the relay drains in this time. */
  readonly horizonMs: number;
  /** Share of refusals of policy from which on bulk stops, 0 to 1. */
  readonly maxRefusals: number;
  /** The outlet that takes retries and mail to destinations that have not lately answered. */
  readonly retryOutlet?: string;
  /** How the relay is measured. Absent: by its replies alone. */
  readonly gauge?: GaugeConfig;
}

export type GaugeConfig = (
  | { readonly type: "postfix"; readonly configDir: string }
  | { readonly type: "command"; readonly command: readonly string[]; readonly spool?: string }
) & {
  /** The relay is on another machine, where somebody else starts the agent. */
  readonly isRemote: boolean;
};

interface SmtpTimeoutsConfig {
  readonly connectMs: number;
  readonly bannerMs: number;
  readonly ehloMs: number;
  readonly starttlsMs: number;
  readonly authMs: number;
  readonly mailMs: number;
  readonly rcptMs: number;
  readonly dataMs: number;
  readonly blockMs: number;
  readonly dotMs: number;
}

export interface ConfigQuestion {
  readonly cwd: string;
  /** Named by `--config`; must exist. */
  readonly file?: string | undefined;
  readonly env: Environment;
  /** This machine's name, for defaults. */
  readonly hostname?: string;
}

export function loadConfig(question: ConfigQuestion): Config {
  const source = readConfigSource(question, CONFIG_SCHEMA_NODE);
  const problems: ConfigProblem[] = [];
  const report: Report = (keys, found, expected, hint) => {
    const origin = source.originOf(keys);
    problems.push({ origin, key: printKeys(keys), found, expected, ...(hint === undefined ? {} : { hint }) });
  };
  const baseDir = source.file === undefined ? question.cwd : path.dirname(source.file);

  checkAgainstSchema(CONFIG_SCHEMA_NODE, source.value, [], report);
  const value = withoutNulls(source.value);
  checkTogether(value, report);
  const fileTexts = readNamedFiles(value, baseDir, report);
  if (problems.length > 0) throw new ConfigError(problems);

  const hostname = question.hostname ?? machineName();
  const config = assembleConfig(value as ConfigInput, { baseDir, hostname, fileTexts });
  return source.file === undefined ? config : { file: source.file, ...config };
}

interface Surroundings {
  readonly baseDir: string;
  readonly hostname: string;
  readonly fileTexts: ReadonlyMap<string, string>;
}

function assembleConfig(input: ConfigInput, surroundings: Surroundings): Config {
  const dataDir = path.resolve(surroundings.baseDir, input.data_dir ?? "postlane-data");
  return {
    dataDir,
    ...(input.database_url === undefined ? {} : { databaseUrl: input.database_url }),
    from: input.from ?? defaultFrom(surroundings.hostname),
    ...assemblePublicUrl(input.public_url),
    lanes: assembleLanes(input.lanes ?? {}),
    outlets: assembleOutlets(input.outlets ?? {}, dataDir, {
      ...surroundings,
      returnPath: input.returns?.domain === undefined ? "keep" : "verp",
    }),
    listen: assembleListen(input),
    smtp: assembleSmtpDoor(input, surroundings),
    http: assembleHttp(input.http ?? {}),
    ...(input.returns?.domain === undefined ? {} : { returnsDomain: input.returns.domain.toLowerCase() }),
    ...(input.sendmail?.spool === undefined
      ? {}
      : { sendmailSpool: path.resolve(surroundings.baseDir, input.sendmail.spool) }),
    dkim: assembleDkim(input.dkim ?? {}, dataDir, surroundings),
    resolvers: input.resolvers ?? [],
    webhookAllow: input.webhooks?.allow ?? [],
    queue: {
      waitingMax: input.queue?.max_waiting ?? 10_000_000,
      databaseBytesMax: bytes(input.queue?.max_size ?? "100 GB"),
      freeDiskBytesMin: bytes(input.queue?.min_free_disk ?? "1 GB"),
    },
    vacuumAlarm: {
      deadRows: input.vacuum_alarm?.dead_rows ?? 200_000,
      heldForMs: ms(input.vacuum_alarm?.held_for ?? "30 s"),
      slotWalBytes: bytes(input.vacuum_alarm?.slot_wal ?? "5 GB"),
    },
    noProgressAlarmMs: ms(input.no_progress_alarm ?? "60 s"),
    rescueGraceMs: ms(input.rescue_grace ?? "60 s"),
    guardGapMs: ms(input.guard_gap ?? "1 hour"),
    leaseMs: ms(input.lease ?? "15 s"),
    logLevel: input.log_level ?? "info",
  };
}

function assembleDkim(input: NonNullable<ConfigInput["dkim"]>, dataDir: string, { baseDir }: Surroundings): DkimConfig {
  const named = input.encryption_key_file;
  const file = named === undefined ? path.join(dataDir, "secrets", "dkim.key") : path.resolve(baseDir, named);
  return {
    encryptionKey:
      input.encryption_key === undefined
        ? { kind: "file", file, isNamed: named !== undefined }
        : { kind: "given", text: input.encryption_key },
    keys: (input.keys ?? []).map(({ domain, selector, private_key_file: keyFile }) => ({
      domain: domainToASCII(domain).toLowerCase(),
      selector: selector.toLowerCase(),
      file: path.resolve(baseDir, keyFile),
    })),
  };
}

function assemblePublicUrl(text = ""): Pick<Config, "publicUrl"> {
  const publicUrl = parsePublicUrl(text);
  return publicUrl === undefined ? {} : { publicUrl };
}

const LISTEN_HTTP = "127.0.0.1:2580";
const LISTEN_RETURNS = "127.0.0.1:2526";

/** The returns door opens only where something can come home. */
function assembleListen({ listen, returns }: ConfigInput): Config["listen"] {
  const http = parseListen(listen?.http ?? LISTEN_HTTP);
  const returnsAt = returns?.domain === undefined ? undefined : parseListen(listen?.returns ?? LISTEN_RETURNS);
  return { ...(http === undefined ? {} : { http }), ...(returnsAt === undefined ? {} : { returns: returnsAt }) };
}

const LISTEN_SMTP = "127.0.0.1:2525";
/** RFC 8314 §3: with a certificate, for clients elsewhere. */
const LISTEN_SUBMISSION = "0.0.0.0:587";
const LISTEN_SUBMISSIONS = "0.0.0.0:465";

function assembleSmtpDoor(
  { listen, tls, smtp = {} }: ConfigInput,
  { baseDir, hostname }: Surroundings,
): SmtpDoorConfig {
  const at = (kind: SmtpListenerConfig["kind"], written: string, lane?: string): readonly SmtpListenerConfig[] => {
    const address = parseListen(written);
    return address === undefined ? [] : [{ kind, listen: address, ...(lane === undefined ? {} : { lane }) }];
  };
  const secure =
    tls === undefined
      ? []
      : [
          ...at("submission", listen?.submission ?? LISTEN_SUBMISSION),
          ...at("submissions", listen?.submissions ?? LISTEN_SUBMISSIONS),
        ];
  const ofLanes = Object.entries(smtp.ports ?? {}).flatMap(([lane, written]) => at("smtp", written, lane));
  const absolute = (file: string): string => path.resolve(baseDir, file);
  return {
    listeners: [...at("smtp", listen?.smtp ?? LISTEN_SMTP), ...ofLanes, ...secure],
    ...(tls === undefined
      ? {}
      : { certificate: { certFile: absolute(tls.cert_file), keyFile: absolute(tls.key_file) } }),
    allow: (smtp.allow ?? []).flatMap((network) => parseNetwork(network) ?? []),
    limits: {
      messageBytesMax: quantityOf(parseSize(smtp.max_message ?? "10 MiB")),
      readingBytesMax: quantityOf(parseSize(smtp.max_reading ?? "128 MiB")),
      recipientsMax: smtp.max_recipients ?? SMTP_RECIPIENTS_MAX,
      sessionsMax: smtp.max_sessions ?? SMTP_SESSIONS_MAX,
      sessionsPerClientMax: smtp.max_sessions_per_client ?? SMTP_SESSIONS_PER_CLIENT_MAX,
      errorsMax: smtp.max_errors ?? SMTP_ERRORS_MAX,
      idleMs: msOr(smtp.idle, ms("5 min")),
    },
    host: heloNameOf(hostname),
  };
}

/** What the database takes at once, and Postfix too. */
const SMTP_RECIPIENTS_MAX = 1000;
/** A session takes about 50 KB while it waits. All workers of a site on this machine are one client. */
const SMTP_SESSIONS_MAX = 500;
const SMTP_SESSIONS_PER_CLIENT_MAX = 200;
/** As Postfix has it. */
const SMTP_ERRORS_MAX = 20;

function heloNameOf(hostname: string): string {
  return /^[A-Za-z0-9.-]{1,253}$/.test(hostname) ? hostname : "localhost";
}

/** An email has 10 MiB at most; what is escaped in JSON takes more. */
function assembleHttp(input: NonNullable<ConfigInput["http"]>): HttpConfig {
  return {
    bodyBytesMax: bytes(input.max_body ?? "26 MB"),
    batchBodyBytesMax: bytes(input.max_batch_body ?? "26 MB"),
    connectionsMax: input.max_connections ?? 1000,
    connectionsPerClientMax: input.max_connections_per_client ?? 250,
    requestMsMax: ms(input.request_time ?? "30 s"),
  };
}

/** A name without a dot is no domain that mail could come from; then a name that is surely nobody else's stands in. */
export function defaultFrom(hostname: string): string {
  const address = `postlane@${hostname}`;
  return `Postlane <${addressProblem(address) === undefined ? address : "postlane@localhost.localdomain"}>`;
}

// ---- lanes -----------------------------------------------------------------------------------------------------------

type LaneDefaults = Pick<LaneSettings, "ttlMs" | "unknownPolicy" | "unknownGraceMs" | "retry" | "claimAheadMax">;

const TRANSACTIONAL_RETRY: RetryList = {
  kind: "list",
  delaysMs: ["15 s", "1 min", "5 min", "15 min", "30 min"].map(ms),
};

/** About 32 tries in seven days. The jitter keeps a campaign that was put off together from coming back together. */
const BULK_RETRY: RetryExponential = {
  kind: "exponential",
  firstMs: ms("15 min"),
  factor: 2,
  capMs: ms("6 h"),
  jitter: 0.2,
};

const LANE_DEFAULTS: Readonly<Record<LanePriority, LaneDefaults>> = {
  transactional: {
    ttlMs: ms("3 days"),
    unknownPolicy: "resend",
    // A relay's log or failure notice is there within seconds; a password reset cannot wait much longer.
    unknownGraceMs: ms("60 s"),
    retry: TRANSACTIONAL_RETRY,
    // What one crash of the machine can make `unknown`: few, for mail that somebody waits for.
    claimAheadMax: 200,
  },
  bulk: {
    ttlMs: ms("7 days"),
    unknownPolicy: "hold",
    unknownGraceMs: ms("60 s"),
    retry: BULK_RETRY,
    claimAheadMax: 1000,
  },
};

function assembleLanes(given: Readonly<Record<string, LaneInput>>): Config["lanes"] {
  const lanes: Readonly<Record<string, LaneInput>> = { transactional: {}, bulk: {}, ...given };
  return Object.fromEntries(Object.entries(lanes).map(([name, input]) => [name, assembleLane(name, input)]));
}

function assembleLane(name: string, input: LaneInput): LaneSettings {
  const priority = input.priority ?? (name === "transactional" ? "transactional" : "bulk");
  const defaults = LANE_DEFAULTS[priority];
  return {
    name,
    priority,
    outlets: input.outlets ?? [DEFAULT_OUTLET],
    ttlMs: msOr(input.ttl, defaults.ttlMs),
    unknownPolicy: input.unknown ?? defaults.unknownPolicy,
    unknownGraceMs: msOr(input.unknown_grace, defaults.unknownGraceMs),
    dispatchers: input.dispatchers ?? 1,
    retry: input.retry === undefined ? defaults.retry : assembleRetry(input.retry),
    claimAheadMax: input.claim_ahead_max ?? defaults.claimAheadMax,
  };
}

function assembleRetry(input: NonNullable<LaneInput["retry"]>): RetrySchedule {
  if (Array.isArray(input)) return { kind: "list", delaysMs: input.map(ms) };
  const firstMs = msOr(input.first, BULK_RETRY.firstMs);
  return {
    kind: "exponential",
    firstMs,
    factor: input.factor ?? BULK_RETRY.factor,
    capMs: msOr(input.cap, Math.max(firstMs, BULK_RETRY.capMs)),
    jitter: input.jitter ?? BULK_RETRY.jitter,
  };
}

// ---- outlets ---------------------------------------------------------------------------------------------------------

const DEFAULT_OUTLET = "default";

/**
 * Three quarters of it, bulk's part of an outlet that it shares, are twice the default connections: on each, one message
 * waits for the reply to its final dot while the next one's envelope rides behind it (a tenth faster than with half).
 */
const OPEN_MAX = 60;
const CONNECTIONS_MAX = 20;

type OutletInput = NonNullable<ConfigInput["outlets"]>[string];

interface OutletSurroundings extends Surroundings {
  /** Of outlets that say nothing of it. */
  readonly returnPath: SmtpOutletConfig["returnPath"];
}

function assembleOutlets(
  given: Readonly<Record<string, OutletInput>>,
  dataDir: string,
  surroundings: OutletSurroundings,
): Config["outlets"] {
  const outlets: typeof given = { [DEFAULT_OUTLET]: { type: "capture" }, ...given };
  const assemble = (name: string, input: OutletInput): OutletConfig => {
    switch (input.type) {
      case "capture": {
        const dir = path.join(dataDir, "capture", name);
        return { name, type: "capture", dir, openMax: OPEN_MAX, openPerDestinationMax: OPEN_MAX };
      }
      case "smtp":
        return assembleSmtpOutlet(name, input, surroundings);
    }
  };
  return Object.fromEntries(Object.entries(outlets).map(([name, input]) => [name, assemble(name, input)]));
}

function assembleSmtpOutlet(
  name: string,
  input: SmtpOutletInput,
  { hostname, fileTexts, baseDir, returnPath }: OutletSurroundings,
): SmtpOutletConfig {
  const openMax = input.max_open ?? OPEN_MAX;
  const isImplicit = input.tls === "implicit";
  const password = input.auth?.password ?? fileTexts.get(`outlets.${name}.auth.password_file`);
  const ca = fileTexts.get(`outlets.${name}.ca_file`);
  return {
    name,
    type: "smtp",
    hosts: input.hosts.map((host) => assembleHost(host, isImplicit ? 465 : 25)),
    tls: input.tls === "implicit" ? "required" : (input.tls ?? "opportunistic"),
    implicitTls: isImplicit,
    ...(input.auth === undefined || password === undefined ? {} : { auth: { user: input.auth.user, password } }),
    ...(ca === undefined ? {} : { ca }),
    heloName: input.helo_name ?? heloNameOf(hostname),
    openMax,
    openPerDestinationMax: input.max_open_per_destination ?? openMax,
    connectionsMax: input.max_connections ?? CONNECTIONS_MAX,
    messagesPerConnectionMax: input.messages_per_connection ?? 1000,
    connectionAgeMsMax: msOr(input.connection_age, ms("5 min")),
    idleMs: msOr(input.idle, ms("5 s")),
    timeouts: assembleTimeouts(input.timeouts ?? {}),
    returnPath: input.return_path ?? returnPath,
    returnWindowMs: msOr(input.return_window, ms("8 days")),
    ...(input.max_rate === undefined ? {} : { maxRatePerS: quantityOf(parseRate(input.max_rate)) }),
    maxQueue: input.max_queue ?? MAX_QUEUE,
    maxPlug: input.max_plug ?? MAX_PLUG,
    horizonMs: msOr(input.horizon, ms("30 s")),
    maxRefusals: quantityOf(parseShare(input.max_refusals ?? "5 %")),
    ...(input.retry_outlet === undefined ? {} : { retryOutlet: input.retry_outlet }),
    ...(input.gauge === undefined ? {} : { gauge: assembleGauge(input.gauge, baseDir) }),
  };
}

/** 30 s of a relay that delivers 200 a second, and well below Postfix's own limit of 20,000 active messages. */
const MAX_QUEUE = 6000;
const MAX_PLUG = 2000;

function assembleGauge(input: NonNullable<SmtpOutletInput["gauge"]>, baseDir: string): GaugeConfig {
  const isRemote = input.is_remote ?? false;
  if (input.type === "postfix") {
    return { type: "postfix", configDir: path.resolve(baseDir, input.config_dir ?? "/etc/postfix"), isRemote };
  }
  const spool = input.spool === undefined ? {} : { spool: path.resolve(baseDir, input.spool) };
  return { type: "command", command: input.command, ...spool, isRemote };
}

function assembleHost(input: SmtpOutletInput["hosts"][number], defaultPort: number): SmtpOutletConfig["hosts"][number] {
  if (typeof input !== "string") {
    return { host: input.host, port: input.port ?? defaultPort, weight: input.weight ?? 1 };
  }
  const { host, port = defaultPort } = parseHost(input) ?? { host: input };
  return { host, port, weight: 1 };
}

/** RFC 5321 §4.5.3.2.1 to 6; it says nothing of connecting (30 s, as Postfix does) and of EHLO, STARTTLS and AUTH. */
function assembleTimeouts(input: NonNullable<SmtpOutletInput["timeouts"]>): SmtpTimeoutsConfig {
  const ehloMs = ms(input.ehlo ?? "5 min");
  return {
    connectMs: ms(input.connect ?? "30 s"),
    bannerMs: ms(input.banner ?? "5 min"),
    ehloMs,
    starttlsMs: ehloMs,
    authMs: ehloMs,
    mailMs: ms(input.mail ?? "5 min"),
    rcptMs: ms(input.rcpt ?? "5 min"),
    dataMs: ms(input.data ?? "2 min"),
    blockMs: ms(input.block ?? "3 min"),
    dotMs: ms(input.dot ?? "10 min"),
  };
}

// ---- quantities ------------------------------------------------------------------------------------------------------

/** Of a text that the schema has let through. */
function quantityOf(quantity: Quantity): number {
  if (quantity.kind === "refused") throw new Error(`it should have been refused: expected ${quantity.problem}`);
  return quantity.value;
}

function ms(text: string): number {
  return quantityOf(parseDuration(text));
}

function bytes(text: string): number {
  return quantityOf(parseSize(text));
}

function msOr(text: string | undefined, defaultMs: number): number {
  return text === undefined ? defaultMs : ms(text);
}
