// Clients that cost little, so that a benchmark of the doors measures the doors: HTTP as prepared octets on raw sockets,
// SQL as prepared statements.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type pg from "pg";
import { MESSAGE_BYTES } from "./newsletter.ts";

const TEXT = "The quick brown fox jumps over the lazy dog. "
  .repeat(Math.ceil(MESSAGE_BYTES / 45))
  .slice(0, MESSAGE_BYTES - 200);
let emails = 0;

/** About 2 KB, and a recipient of its own. */
export function emailOf(): {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
} {
  const number = ++emails;
  const to = `user${number}@d${number % 1000}.example.com`;
  return { from: "Shop <shop@example.com>", to, subject: `Your order ${number}`, text: TEXT };
}

interface Load {
  readonly seconds: number;
  readonly connections: number;
  /** Emails of one request. */
  readonly batch: number;
}

/** Runs `work` again and again on so many connections; the sum of what it answers, a second. */
export async function perSecondOf(
  seconds: number,
  connections: number,
  work: (connection: number) => Promise<number>,
): Promise<number> {
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  let done = 0;
  await Promise.all(
    Array.from({ length: connections }, async (_, connection) => {
      while (performance.now() < endsAt) {
        const more = await work(connection);
        done += more;
      }
    }),
  );
  return (done * 1000) / (performance.now() - startedAt);
}

export async function sqlLoad(pool: pg.Pool, { seconds, connections, batch }: Load): Promise<number> {
  const [name, text] =
    batch === 1
      ? ["enqueue", "SELECT postlane.enqueue($1)"]
      : ["enqueue_many", "SELECT count(*) FROM postlane.enqueue_many($1)"];
  return await perSecondOf(seconds, connections, async () => {
    const email = batch === 1 ? emailOf() : Array.from({ length: batch }, emailOf);
    await pool.query({ name, text, values: [JSON.stringify(email)] });
    return batch;
  });
}

export async function httpLoad(
  door: { readonly http: string; readonly key: string },
  { seconds, connections, batch }: Load,
): Promise<number> {
  const clients = await Promise.all(Array.from({ length: connections }, () => openHttpClient(door)));
  const path = batch === 1 ? "/emails" : "/emails/batch";
  try {
    return await perSecondOf(seconds, connections, async (connection) => {
      const body = batch === 1 ? emailOf() : Array.from({ length: batch }, emailOf);
      const { status, body: answer } = await clients[connection]!.post(path, JSON.stringify(body));
      if (status !== 200 || (batch > 1 && answer.split('"id"').length - 1 !== batch)) {
        throw new Error(`${path} answered ${status}: ${answer.slice(0, 500)}`);
      }
      return batch;
    });
  } finally {
    for (const client of clients) client.close();
  }
}

export interface HttpClient {
  post(path: string, body: string): Promise<{ readonly status: number; readonly body: string }>;
  close(): void;
}

export async function openHttpClient({
  http,
  key,
}: {
  readonly http: string;
  readonly key: string;
}): Promise<HttpClient> {
  const { hostname, port, host } = new URL(http);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, "connect");
  const head = `Host: ${host}\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n`;
  return {
    async post(path, body) {
      socket.write(`POST ${path} HTTP/1.1\r\n${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      return await readAnswer(socket);
    },
    close: () => socket.destroy(),
  };
}

/** One answer with a Content-Length. */
async function readAnswer(socket: Socket): Promise<{ status: number; body: string }> {
  let text = "";
  for (;;) {
    const end = text.indexOf("\r\n\r\n");
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, Math.max(end, 0)))?.[1] ?? Number.NaN);
    if (end >= 0 && text.length >= end + 4 + length) {
      return { status: Number(text.slice(9, 12)), body: text.slice(end + 4) };
    }
    if (end >= 0 && Number.isNaN(length)) throw new Error(`an answer without its length: ${text.slice(0, end)}`);
    const [chunk] = (await once(socket, "data")) as [Buffer];
    text += chunk.toString("latin1");
  }
}
