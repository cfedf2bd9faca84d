// An agent as a real process beside a real Postfix, on the database of a test.

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { TestContext } from "node:test";
import type { RelayReading } from "../../src/mail/reading.ts";
import { until } from "../rig/lane-mail.ts";
import type { Postfix } from "../rig/postfix.ts";
import type { TestDatabase } from "../rig/postgres.ts";
import { endWithTest, startCommand, type CommandPlace } from "./cli-command.ts";

export const OUTLET = "news";
export const RETURNS_DOMAIN = "returns.example";
/** What instances of Postlane's own making have. */
export const AS_MADE = { enable_long_queue_ids: "yes", smtpd_client_port_logging: "yes", in_flow_delay: "0s" };

type Relay = Pick<Postfix, "host" | "port" | "configDir">;

export interface AgentOptions {
  readonly place?: CommandPlace;
  readonly returnsDomain?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Started, and not waited for. */
export function spawnAgent(database: TestDatabase, postfix: Relay, options: AgentOptions = {}): ChildProcess {
  const domain = options.returnsDomain;
  return startCommand(options.place ?? database, ["agent", "--outlet", OUTLET], {
    POSTLANE_OUTLETS__NEWS: JSON.stringify({
      type: "smtp",
      hosts: [`${postfix.host}:${postfix.port}`],
      gauge: { type: "postfix", config_dir: postfix.configDir },
    }),
    ...(domain === undefined ? {} : { POSTLANE_RETURNS__DOMAIN: domain }),
    ...options.env,
  });
}

export interface RunningAgent {
  readonly child: ChildProcess;
  /** What it said on standard error. */
  said(): string;
  /** Its process is gone without a chance to say anything. */
  kill(): Promise<void>;
  /** As the supervisor of a service does. */
  terminate(): Promise<number | null>;
}

/** Resolves once it has written its first reading. */
export async function startAgent(
  t: TestContext,
  database: TestDatabase,
  postfix: Relay,
  options: AgentOptions = {},
): Promise<RunningAgent> {
  const before = (await readingOf(database))?.number ?? 0;
  const child = spawnAgent(database, postfix, options);
  endWithTest(t, child);
  let said = "";
  child.stderr!.setEncoding("utf8").on("data", (piece: string) => (said += piece));
  await until("the agent writes a reading", async () => {
    assert.equal(child.exitCode, null, said);
    const row = await readingOf(database);
    return row !== undefined && row.number > before;
  });
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    child.kill(signal);
    const [code] = (await once(child, "close")) as [number | null];
    return code;
  };
  return {
    child,
    said: () => said,
    kill: async () => void (await end("SIGKILL")),
    terminate: () => end("SIGTERM"),
  };
}

export interface ReadingRow {
  readonly number: number;
  readonly at: Date;
  readonly body: RelayReading;
  readonly agent: {
    readonly host: string;
    readonly pid: number;
    readonly uses: string | null;
    readonly ended_at: string | null;
    readonly log?: { readonly inode: string; readonly offset: number; readonly continuous_since: string };
  };
}

export async function readingOf({ pool }: TestDatabase): Promise<ReadingRow | undefined> {
  const { rows } = await pool.query<ReadingRow>(
    "SELECT number, at, body, agent FROM postlane.reading WHERE outlet = $1",
    [OUTLET],
  );
  return rows[0];
}

/** A reading that was measured after now and is as wanted. */
export async function untilReading(
  database: TestDatabase,
  what: string,
  isWanted: (row: ReadingRow) => boolean,
): Promise<ReadingRow> {
  let found: ReadingRow | undefined;
  await until(what, async () => {
    found = await readingOf(database);
    return found !== undefined && isWanted(found);
  });
  return found!;
}

export interface ReturnRow {
  readonly source: string;
  readonly source_key: string | null;
  readonly body: Readonly<Record<string, unknown>>;
  readonly raw: Buffer | null;
}

export async function returnsOf({ pool }: TestDatabase, source: string): Promise<readonly ReturnRow[]> {
  const { rows } = await pool.query<ReturnRow>(
    "SELECT source, source_key, body, raw FROM postlane.return WHERE outlet = $1 AND source = $2 ORDER BY id",
    [OUTLET, source],
  );
  return rows;
}
