// Two callers that knock at the doors of a front all the time, one by HTTP and one by SMTP, a mail each time. What was
// answered 2xx or 250 goes into the ledger as accepted; of all else only that it is not known. How each call ended is kept,
// for a fault that wants clean refusals and no silence.

import { setTimeout as sleep } from "node:timers/promises";
import { beginMail, connectRaw } from "../../test/rig/raw-smtp.ts";
import { postEmail } from "./http-client.ts";
import { textOf, wallMs, type Submissions } from "./submissions.ts";

export interface DoorCall {
  readonly door: "http" | "smtp";
  readonly begunAtMs: number;
  readonly ms: number;
  /** The status or the reply; absent: nobody listened, or the connection ended. */
  readonly answer?: string;
  readonly isAccepted: boolean;
}

export interface DoorCallers {
  readonly calls: readonly DoorCall[];
  stop(): Promise<void>;
}

interface Doors {
  readonly httpPort: number;
  readonly smtpPort: number;
  readonly key: string;
}

const PAUSE_MS = 100;
/** Longer than any door lets a client wait for a database. */
const CALL_MS_MAX = 30_000;
/** Numbers of recipients far from those of the site. */
const FIRST_NUMBER = 8_000_001;
const FROM = "shop@sender.example";

type Call = (recipient: string, name: string) => Promise<string>;

export function startDoorCallers(doors: Doors, submissions: Submissions): DoorCallers {
  const calls: DoorCall[] = [];
  let number = FIRST_NUMBER;
  let isStopped = false;
  const keepCalling = async (door: DoorCall["door"], call: Call): Promise<void> => {
    for (; !isStopped; await sleep(PAUSE_MS)) {
      const name = `t${number++}`;
      const recipient = `${name}@${door}.crash.example`;
      submissions.note("sub", [recipient]);
      const begunAtMs = wallMs();
      const answer = await call(recipient, name).catch(() => undefined);
      const isAccepted = answer?.startsWith("2") ?? false;
      submissions.note(isAccepted ? "ack" : "amb", [recipient]);
      calls.push({
        door,
        begunAtMs,
        ms: wallMs() - begunAtMs,
        isAccepted,
        ...(answer === undefined ? {} : { answer }),
      });
    }
  };
  const loops = Promise.all([keepCalling("http", httpCall(doors)), keepCalling("smtp", smtpCall(doors))]);
  return {
    calls,
    async stop() {
      isStopped = true;
      await loops;
    },
  };
}

function httpCall({ httpPort, key }: Doors): Call {
  return async (to, name) => {
    const email = { from: FROM, to, subject: "By HTTP", text: textOf(name) };
    const answer = await postEmail({ at: `127.0.0.1:${httpPort}`, token: key, email, msMax: CALL_MS_MAX });
    if (answer === undefined) throw new Error("no answer");
    return `${answer.status} ${answer.code ?? ""}`.trim();
  };
}

function smtpCall({ smtpPort }: Doors): Call {
  return async (to, name) => {
    const smtp = await connectRaw("127.0.0.1", smtpPort);
    const impatience = setTimeout(() => smtp.cut(), CALL_MS_MAX);
    try {
      await beginMail(smtp, FROM, to);
      await smtp.write(
        `From: ${FROM}\r\nTo: ${to}\r\nSubject: By SMTP\r\n\r\n${textOf(name).replaceAll("\n", "\r\n")}`,
      );
      return (await smtp.say(".")).trim();
    } catch (error) {
      // beginMail says a refusal as an error: the line, and the answer to it.
      const refusal = /: ([45]\d\d[ -][^\n]*)/.exec(error instanceof Error ? error.message : "")?.[1];
      if (refusal === undefined) throw error;
      return refusal.trim();
    } finally {
      clearTimeout(impatience);
      smtp.cut();
    }
  };
}
