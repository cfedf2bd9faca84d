// A site that submits at the doors, all the time: over HTTP with a key and an Idempotency-Key, by SMTP with the same key and a
// Message-ID, each some times a second and never waiting for the answers before. It notes how soon each answer came and
// which it was. What was not accepted is tried again with the same key until it is: so a message that was kept behind a
// refusal, and then accepted, shows if it goes out twice. What is accepted stands in the site's ledger.

import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Installation } from "../../bench/installation.ts";
import type { Scope } from "../../test/rig/scope.ts";
import { findFront } from "../../src/doors/http/front-file.ts";
import { makeKey, postEmail } from "./http-client.ts";
import { openSiteLedger, type SiteLedger } from "./site-ledger.ts";
import { submitBySmtp } from "./smtp-client.ts";
import { textOf, wallMs } from "./submissions.ts";
import type { World } from "./world.ts";

export type Door = "http" | "smtp";
export const DOORS: readonly Door[] = ["http", "smtp"];

export interface DoorAnswer {
  readonly door: Door;
  readonly askedAtMs: number;
  readonly endedAtMs: number;
  /** Of SMTP the slowest reply of the transaction. */
  readonly tookMs: number;
  /** HTTP's status or SMTP's code; 0: none came. */
  readonly code: number;
}

export interface DoorProbe {
  readonly answers: readonly DoorAnswer[];
  /** Tries until everything was accepted, and ends. Answers how many were not. */
  stop(): Promise<number>;
}

const PER_S = 5;
/** A refusal is not answered by asking again at once. */
const AGAIN_MS = 1000;
/** Nothing may hang for so long. */
export const HANG_MS = 10_000;
const ACCEPTED_MS_MAX = 30_000;
/** So high that the key's rate is asked for, and never refuses. */
const KEY_RATE = "1000/s";
/** Far above what the site's own submissions count up to. */
const FIRST_NUMBER: Readonly<Record<Door, number>> = { http: 1_000_000_000, smtp: 2_000_000_000 };

interface ProbeMail {
  readonly to: string;
  dueAtMs: number;
}

/** Of a world whose front is ready. */
export async function probeDoors(scope: Scope, world: World): Promise<DoorProbe> {
  const { installation } = world;
  const token = await makeKey(installation, "--rate", KEY_RATE);
  const ledger = openSiteLedger(world.siteLedgerFile);
  const answers: DoorAnswer[] = [];
  const doors = DOORS.map((door) => {
    const submit = door === "http" ? submitOverHttp(installation, token) : submitOverSmtp(installation, token);
    return startDoor(door, submit, ledger, answers);
  });
  const stop = async (): Promise<number> => {
    const left = await Promise.all(doors.map((door) => door.stop()));
    return left.reduce((sum, one) => sum + one, 0);
  };
  scope.after(() => {
    for (const door of doors) door.abandon();
  });
  return { answers, stop };
}

type Submit = (mail: ProbeMail) => Promise<{ readonly code: number; readonly tookMs: number }>;

function startDoor(door: Door, submit: Submit, ledger: SiteLedger, answers: DoorAnswer[]) {
  const again: ProbeMail[] = [];
  const open = new Set<Promise<void>>();
  let count = 0;
  let failure: unknown;
  const isNow = { ending: false, over: false };

  const next = (): ProbeMail | undefined => {
    const due = again.findIndex(({ dueAtMs }) => dueAtMs <= wallMs());
    if (due >= 0) return again.splice(due, 1)[0];
    if (isNow.ending) return undefined;
    const number = FIRST_NUMBER[door] + ++count;
    const to = `t${number}@${door}${number}.crash.example`;
    ledger.note("sub", [to]);
    return { to, dueAtMs: 0 };
  };
  const ask = async (mail: ProbeMail): Promise<void> => {
    const askedAtMs = wallMs();
    const { code, tookMs } = await submit(mail);
    answers.push({ door, askedAtMs, endedAtMs: wallMs(), tookMs, code });
    const isAccepted = code >= 200 && code < 300;
    if (!isNow.over) ledger.note(isAccepted ? "ack" : "amb", [mail.to]);
    if (!isAccepted) again.push({ to: mail.to, dueAtMs: wallMs() + AGAIN_MS });
  };
  const loop = (async () => {
    while (!isNow.over) {
      const mail = next();
      if (mail !== undefined) {
        const asked: Promise<void> = ask(mail)
          .catch((error: unknown) => (failure ??= error))
          .then(() => void open.delete(asked));
        open.add(asked);
      } else if (isNow.ending && again.length === 0 && open.size === 0) break;
      await sleep(1000 / PER_S);
    }
  })();
  return {
    async stop() {
      isNow.ending = true;
      await Promise.race([loop, sleep(ACCEPTED_MS_MAX, undefined, { ref: false })]);
      isNow.over = true;
      if (failure !== undefined) throw failure;
      return again.length + open.size;
    },
    abandon() {
      isNow.over = true;
    },
  };
}

// ---- HTTP ------------------------------------------------------------------------------------------------------------

const SUBJECT = "Of a door";
const SENDER = "fault@sender.example";

function submitOverHttp({ dataDir }: Installation, token: string): Submit {
  return async ({ to }) => {
    const startedAtMs = performance.now();
    const at = findFront(dataDir)?.http;
    const email = { from: SENDER, to, subject: SUBJECT, text: textOf(to) };
    const answer = await postEmail({ at, token, email, idempotencyKey: to, msMax: HANG_MS });
    const code = answer?.status ?? 0;
    return { code, tookMs: performance.now() - startedAtMs };
  };
}

// ---- SMTP ------------------------------------------------------------------------------------------------------------

function submitOverSmtp(installation: Installation, token: string): Submit {
  let port: number | undefined;
  return async ({ to }) => {
    port ??= smtpPortOf(installation);
    if (port === undefined) return { code: 0, tookMs: 0 };
    const content =
      `From: <${SENDER}>\r\nTo: <${to}>\r\nSubject: ${SUBJECT}\r\nMessage-ID: <${to}>\r\n\r\n` +
      textOf(to).replaceAll("\n", "\r\n");
    const answer = await submitBySmtp({ port, token, sender: SENDER, recipient: to, content, replyMsMax: HANG_MS });
    // The front may have been started again, on another port.
    if (answer.code === 0) port = undefined;
    return answer;
  };
}

/** By the log: the door listens on any free port. Undefined: not yet. */
function smtpPortOf({ dataDir }: Installation): number | undefined {
  const opened = readFileSync(path.join(dataDir, "log", "postlane.log"), "utf8")
    .split("\n")
    .filter((line) => line.includes('"smtp.opened"'));
  const line = opened.at(-1);
  return line === undefined ? undefined : (JSON.parse(line) as { readonly port: number }).port;
}
