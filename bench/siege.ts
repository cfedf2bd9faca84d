// `siege`: what hostile and careless clients do to the doors. Each attack comes from an address of its own, while one
// honest client goes on submitting by HTTP; measured are what the attackers are answered, how long the honest client
// waits, and how much memory the front has. Nothing is delivered meanwhile.

import { connect, type Socket } from "node:net";
import { inScope, type Scope } from "../test/rig/scope.ts";
import type { BenchOptions, BenchReport } from "./bench-result.ts";
import { emailOf, openHttpClient } from "./door-clients.ts";
import { startDoors, type Doors } from "./doors.ts";
import { readRssMbMax } from "./lane-rig.ts";
import { quantile } from "./quantile.ts";

const ATTACKER = "127.0.0.66";
const PROBE_EVERY_MS = 25;
const MB = 1024 * 1024;
const BLOCK = 65_536;
const EMAIL = `{"to":"a@example.com","text":"x"}`;

interface Answers {
  /** First words of what was answered → how often; `closed` without a word, `silent`: nothing yet. */
  readonly [answer: string]: number;
}

type Attack = (doors: Doors, seconds: number) => Promise<Answers>;

const ATTACKS: Readonly<Record<string, Attack>> = {
  nobody: async (_, seconds) => {
    await sleep(seconds * 1000);
    return {};
  },
  idle_http: (doors, seconds) => crowd(doors.httpPort, 2000, seconds, ""),
  idle_smtp: (doors, seconds) => crowd(doors.smtpPort, 2000, seconds, ""),
  slowloris: (doors, seconds) =>
    crowd(doors.httpPort, 200, Math.max(seconds, 8), "POST /emails HTTP/1.1\r\nHost: a\r\nX-A: "),
  json_bomb: (doors) => request(doors, "/emails", `{"to":${"[".repeat(100_000_000)}`),
  batch_of_100000: (doors) => request(doors, "/emails/batch", `[${EMAIL},${`${EMAIL},`.repeat(99_998)}${EMAIL}]`),
  gigabyte_by_smtp: (doors) => gigabyteBySmtp(doors.smtpPort),
};

export function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  return inScope(async (scope) => {
    const doors = await startDoors(scope, {});
    const figures: Record<string, number | string> = {};
    for (const [name, attack] of Object.entries(ATTACKS)) {
      progress(name.replaceAll("_", " "));
      const probing = probe(scope, doors);
      const answers = await attack(doors, quick ? 3 : 10);
      const waitsMs = await probing.stop();
      figures[`${name}_probe_p99_ms`] = quantile(waitsMs, 0.99);
      if (name !== "nobody") figures[`${name}_answers`] = describe(answers);
    }
    figures["front_rss_mb_max"] = readRssMbMax(doors.frontPid);
    await doors.stop();
    return { figures, bars: [], notes: [] };
  });
}

const describe = (answers: Answers): string =>
  Object.entries(answers)
    .map(([answer, count]) => `${count} × ${answer}`)
    .join("; ");

/** An honest client, one email after another, each timed. A refusal ends the benchmark. */
function probe(scope: Scope, doors: Doors): { stop(): Promise<readonly number[]> } {
  const waitsMs: number[] = [];
  let isOver = false;
  const probing = (async () => {
    const client = await openHttpClient(doors);
    scope.after(() => client.close());
    while (!isOver) {
      const beganAt = performance.now();
      const { status, body } = await client.post("/emails", JSON.stringify(emailOf()));
      if (status !== 200) throw new Error(`the honest client was answered ${status}: ${body}`);
      waitsMs.push(performance.now() - beganAt);
      await sleep(PROBE_EVERY_MS);
    }
    client.close();
  })();
  probing.catch(() => {});
  return {
    async stop() {
      isOver = true;
      await probing;
      return waitsMs;
    },
  };
}

/** Many connections that say a beginning and then nothing. */
async function crowd(port: number, count: number, seconds: number, beginning: string): Promise<Answers> {
  const heard = Array.from({ length: count }, () => "");
  const sockets = heard.map((_, at) => {
    const socket = connectFrom(port);
    socket.on("data", (piece: Buffer) => (heard[at] = (heard[at]! + piece.toString("latin1")).slice(0, 200)));
    socket.on("close", () => (heard[at] ||= "closed"));
    if (beginning !== "") socket.write(beginning);
    return socket;
  });
  await sleep(seconds * 1000);
  for (const socket of sockets) socket.destroy();
  return countAnswers(heard.map((text) => (text === "" ? "silent" : text)));
}

/** One request, sent as fast as it is read. */
async function request({ httpPort, key }: Doors, path: string, body: string): Promise<Answers> {
  const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n`;
  const length = `Content-Length: ${body.length}\r\n\r\n`;
  return countAnswers([await pour(httpPort, head + length, body.length, (at) => body.slice(at, at + BLOCK))]);
}

async function gigabyteBySmtp(port: number): Promise<Answers> {
  const envelope = "EHLO attacker.test\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n";
  const lines = `${"x".repeat(76)}\r\n`.repeat(BLOCK / 64);
  const said = await pour(port, envelope, 1024 * MB, (at) => (at === 0 ? "Subject: large\r\n\r\n" : lines));
  return countAnswers([said.split("\r\n").find((reply) => /^[45]\d\d /.test(reply)) ?? said]);
}

/** Answers what was said until the other side closed, or all was written and nothing came for a while. */
function pour(port: number, head: string, bytes: number, pieceAt: (at: number) => string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectFrom(port);
    let heard = "";
    let written = 0;
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(heard === "" ? "closed" : heard);
    };
    const timer = setTimeout(end, POUR_MS_MAX);
    const write = (): void => {
      while (written < bytes && !socket.destroyed) {
        const block = pieceAt(written);
        written += block.length;
        if (!socket.write(block)) return;
      }
      if (written >= bytes) socket.write("\r\n.\r\nQUIT\r\n");
    };
    socket.on("data", (piece: Buffer) => (heard = (heard + piece.toString("latin1")).slice(-2000)));
    socket.on("close", end);
    socket.on("drain", write);
    socket.once("connect", () => {
      socket.write(head);
      // The envelope is answered before the content comes.
      setTimeout(write, 500);
    });
  });
}

const POUR_MS_MAX = 60_000;

function connectFrom(port: number): Socket {
  const socket = connect({ host: "127.0.0.1", port, localAddress: ATTACKER });
  socket.on("error", () => {});
  return socket;
}

function countAnswers(answers: readonly string[]): Answers {
  const counts: Record<string, number> = {};
  for (const answer of answers) {
    const first = answer.split("\r\n")[0]!.slice(0, 60);
    counts[first] = (counts[first] ?? 0) + 1;
  }
  return counts;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
