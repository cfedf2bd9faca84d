// The database: an external one by its URL, or the embedded one. Everything that talks to it gets its settings here, so
// that each session of ours commits durably, reads the schema `postlane`, speaks UTC and ISO dates, and gives up on a
// server that no longer answers. Types are parsed by these clients alone and not for the whole process: a library that
// shares the driver keeps its own. `connectDatabase` is for child processes: it uses what runs and never starts one.

import pg from "pg";
import { systemClock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { type EmbeddedServer, findEmbedded, startEmbedded } from "./embedded.ts";
import { PostgresRefused } from "./refused.ts";
import { hasSessionOptions, readSynchronousCommit, sessionOptions } from "./server-store.ts";

export interface Database {
  readonly isEmbedded: boolean;
  /** For sessions of one's own, beside the pool. */
  readonly clientConfig: pg.ClientConfig;
  readonly pool: pg.Pool;
  readonly embedded?: EmbeddedServer;
  /** Ends the pool, bounded in time; the server stays. */
  close(): Promise<void>;
  /** Ends the pool, and the embedded server if there is one. */
  stop(): Promise<void>;
}

interface ConnectOptions {
  readonly databaseUrl?: string | undefined;
  readonly dataDir: string;
  readonly log: Log;
  /** Which process this is: `application_name` becomes "postlane ROLE", for people who read pg_stat_activity. */
  readonly role?: string;
  readonly connectionsMax?: number;
  /** Prepares each session before anyone gets it; when it fails, there is no session. */
  readonly onConnect?: (client: pg.ClientBase) => Promise<void>;
}

interface OpenOptions extends ConnectOptions {
  /** For the embedded server only. */
  readonly env?: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, string>>;
}

/** A client whose query takes longer is destroyed: the server, or the way to it, is frozen. Not statement_timeout. */
const QUERY_MS_MAX = 60_000;
const CONNECT_MS_MAX = 10_000;
/** A peer that vanished without a word is noticed by the kernel even while no query runs. */
const KEEPALIVE_AFTER_MS = 10_000;
/** Of 100 that a PostgreSQL has by default; a process rarely has more than a few statements open at once. */
const CONNECTIONS_MAX = 10;
const IDLE_CONNECTION_MS_MAX = 60_000;
/** How long a transaction may take to finish once the pool is asked to end. */
const CLOSE_MS_MAX = 5_000;

export async function openDatabase(options: OpenOptions): Promise<Database> {
  if (hasUrl(options.databaseUrl)) return databaseAt(urlConfig(options.databaseUrl), options);
  const { dataDir, log, env, settings } = options;
  const embedded = await startEmbedded({
    dataDir,
    log,
    ...(env === undefined ? {} : { env }),
    ...(settings === undefined ? {} : { settings }),
  });
  return databaseAt(embeddedConfig(embedded), options, embedded);
}

export async function connectDatabase(options: ConnectOptions): Promise<Database> {
  if (hasUrl(options.databaseUrl)) return databaseAt(urlConfig(options.databaseUrl), options);
  const embedded = await findRunning(options.dataDir);
  return databaseAt(embeddedConfig(embedded), options, embedded);
}

/** How sessions of ours are opened, whether or not the way to the server lets them be what they should. */
export async function findDatabase({
  databaseUrl,
  dataDir,
  role,
}: Omit<ConnectOptions, "log">): Promise<Pick<Database, "isEmbedded" | "clientConfig">> {
  const isEmbedded = !hasUrl(databaseUrl);
  const server = isEmbedded ? embeddedConfig(await findRunning(dataDir)) : urlConfig(databaseUrl);
  return { isEmbedded, clientConfig: await sessionConfig(server, role) };
}

async function findRunning(dataDir: string): Promise<EmbeddedServer> {
  const embedded = await findEmbedded(dataDir);
  if (embedded !== undefined) return embedded;
  throw new PostgresRefused(
    "database_not_running",
    `The embedded PostgreSQL of ${dataDir} is not running. Start it with \`postlane up\` on the same data ` +
      "directory, or set DATABASE_URL to a PostgreSQL of your own.",
  );
}

/** One after the other; when one fails, there is no session. */
export function inOrder(
  ...steps: readonly NonNullable<ConnectOptions["onConnect"]>[]
): ConnectOptions["onConnect"] & {} {
  return async (client) => {
    for (const step of steps) await step(client);
  };
}

interface PoolOptions extends Pick<ConnectOptions, "connectionsMax" | "onConnect"> {
  readonly closeMsMax?: number;
}

/** A pool in which no lost connection goes unheard, with a bounded end. */
export function createPool(
  clientConfig: pg.ClientConfig,
  log: Log,
  { connectionsMax = CONNECTIONS_MAX, closeMsMax = CLOSE_MS_MAX, onConnect }: PoolOptions = {},
): { readonly pool: pg.Pool; readonly close: () => Promise<void> } {
  const pool = new pg.Pool({
    ...clientConfig,
    max: connectionsMax,
    idleTimeoutMillis: IDLE_CONNECTION_MS_MAX,
    // The pool waits for the promise; its declared types do not say so.
    // oxlint-disable-next-line typescript/no-misused-promises
    ...(onConnect === undefined ? {} : { onConnect }),
  });
  const clients = new Set<pg.PoolClient>();
  // The pool hears the errors of idle clients only: a client that is out, lost between two queries, would end the
  // process. Whoever has it hears of the loss by the next query.
  pool.on("connect", (client) => {
    clients.add(client);
    client.on("error", (error) => log.warn("database.connection_lost", { error: error.message }));
  });
  pool.on("remove", (client) => clients.delete(client));
  pool.on("error", () => {});
  return { pool, close: () => closePool(pool, clients, closeMsMax, log) };
}

async function databaseAt(
  server: pg.ClientConfig,
  { log, role, ...options }: ConnectOptions,
  embedded?: EmbeddedServer,
): Promise<Database> {
  const clientConfig = await sessionConfig(server, role);
  await refuseLostOptions(clientConfig);
  const { pool, close } = createPool(clientConfig, log, options);
  return {
    isEmbedded: embedded !== undefined,
    clientConfig,
    pool,
    ...(embedded === undefined ? {} : { embedded }),
    close,
    async stop() {
      await close();
      await embedded?.stop();
    },
  };
}

/** An empty variable is how many a shell and container says "not set". */
function hasUrl(databaseUrl: string | undefined): databaseUrl is string {
  return databaseUrl !== undefined && databaseUrl !== "";
}

const SESSION: pg.ClientConfig = {
  query_timeout: QUERY_MS_MAX,
  connectionTimeoutMillis: CONNECT_MS_MAX,
  keepAlive: true,
  keepAliveInitialDelayMillis: KEEPALIVE_AFTER_MS,
  types: { getTypeParser: typeParser as typeof pg.types.getTypeParser },
};

function urlConfig(databaseUrl: string): pg.ClientConfig {
  return { ...SESSION, connectionString: databaseUrl };
}

export function embeddedConfig({ socketDir, port, user, database }: Omit<EmbeddedServer, "stop">): pg.ClientConfig {
  return { ...SESSION, host: socketDir, port, user, database, ssl: false };
}

async function sessionConfig(server: pg.ClientConfig, role: string | undefined): Promise<pg.ClientConfig> {
  const name = { ...server, application_name: role === undefined ? "postlane" : `postlane ${role}` };
  return withSessionOptions(name, await serverSynchronousCommit(name));
}

/** What a session gets that asks for nothing: by the server's configuration, the database's or the role's. */
async function serverSynchronousCommit(server: pg.ClientConfig): Promise<string> {
  return await askOnce(server, readSynchronousCommit);
}

/**
 * A pooler that was told to ignore what it does not know swallows the options of a session: then nothing makes its
 * commits durable where the server's own default does not.
 */
async function refuseLostOptions(clientConfig: pg.ClientConfig): Promise<void> {
  if (await askOnce(clientConfig, hasSessionOptions)) return;
  throw new PostgresRefused(
    "database_options_lost",
    "The settings that Postlane's sessions begin with do not reach the database server: a pooler in between drops them, " +
      `and commits might not be durable. ${DIRECTLY}`,
  );
}

async function askOnce<Answer>(server: pg.ClientConfig, ask: (client: pg.Client) => Promise<Answer>): Promise<Answer> {
  const client = new pg.Client(server);
  client.on("error", () => {}); // The query or the connect hears it too.
  try {
    await client.connect();
    return await ask(client);
  } catch (cause) {
    throw unreachable(cause);
  } finally {
    client.end(() => {});
  }
}

const DIRECTLY = "DATABASE_URL must lead to PostgreSQL directly, not through a transaction pooler.";

/** The URL stays out of the message: it may hold a password. */
function unreachable(cause: unknown): PostgresRefused {
  const isPooler = cause instanceof pg.DatabaseError && /startup parameter/.test(cause.message);
  return new PostgresRefused(
    "database_unreachable",
    `The database cannot be used: ${reasonOf(cause)}. ` +
      (isPooler ? DIRECTLY : "Check DATABASE_URL, and that the server runs and lets this user in."),
    { cause },
  );
}

/** Node tries every address of a host, and says nothing but an empty AggregateError. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join("; ");
  return cause instanceof Error ? cause.message : String(cause);
}

/** In the driver, what the URL says wins: options that it brings are kept, ours are added behind them. */
export function withSessionOptions(server: pg.ClientConfig, serverSetting: string): pg.ClientConfig {
  const ours = sessionOptions(serverSetting);
  const url = server.connectionString;
  const theirs = url === undefined ? undefined : /[?&]options=([^&#]*)/.exec(url);
  if (url === undefined || theirs?.[1] === undefined) return { ...server, options: ours };
  const both = `${decodeURIComponent(theirs[1].replaceAll("+", " "))} ${ours}`;
  const connectionString = url.replace(/([?&]options=)[^&#]*/, (_, key: string) => key + encodeURIComponent(both));
  return { ...server, connectionString };
}

// Types by their oid in pg_type.dat.
const INT8 = 20;
const INT8_ARRAY = 1016;
const DATE = 1082;
const TEXT_ARRAY: number = 1009;

function typeParser(oid: number, format?: "text" | "binary"): (value: string) => unknown {
  if (format === "binary") return pg.types.getTypeParser(oid, "binary");
  if (oid === INT8) return parseSafeInteger;
  if (oid === INT8_ARRAY) return parseSafeIntegers;
  // A calendar day has no time zone: as a Date it would become another day west of Greenwich.
  if (oid === DATE) return (value) => value;
  return pg.types.getTypeParser(oid, "text");
}

/** Our ids and counts stay far below 2^53; what does not is a mistake that must not be rounded away. */
export function parseSafeInteger(value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`bigint ${value} from the database is no safe integer`);
  return number;
}

function parseSafeIntegers(value: string): readonly (number | null)[] {
  const texts = pg.types.getTypeParser(TEXT_ARRAY, "text")(value) as readonly (string | null)[];
  return texts.map((text) => (text === null ? null : parseSafeInteger(text)));
}

async function closePool(pool: pg.Pool, clients: ReadonlySet<pg.PoolClient>, msMax: number, log: Log): Promise<void> {
  if (pool.ending) return;
  const end = pool.end().then(() => "ended" as const);
  if ((await within(msMax, end)) === "ended") return;
  log.warn("database.close_forced", { connections: clients.size });
  // A client with a query under way, or a dead socket, is cut off; the server rolls back what it had open.
  for (const client of clients) endNow(client);
}

function endNow(client: pg.PoolClient): void {
  (client as unknown as pg.Client).end(() => {});
}

async function within<T>(ms: number, work: Promise<T>): Promise<T | "late"> {
  let timer: { cancel(): void } | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = systemClock.after(ms, () => resolve("late"));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.cancel();
  }
}
