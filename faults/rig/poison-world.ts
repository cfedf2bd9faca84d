// A whole Postlane that is given poison by its doors, and good mail behind it: what became of each, how soon, and how often
// a dispatcher died. The front's HTTP and SMTP doors are on ports of the loopback, the relay is a truth sink.

import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeInstallation } from "../../bench/installation.ts";
import { openLedger } from "../../bench/sink-ledger.ts";
import { openSiteDatabase } from "../../bench/site-database.ts";
import { startTruthSink } from "../../bench/truth-sink.ts";
import { beginMail, connectRaw } from "../../test/rig/raw-smtp.ts";
import type { Scope } from "../../test/rig/scope.ts";
import { readState } from "./books-store.ts";
import { makeKey } from "./http-client.ts";
import { PLAIN, type PoisonGiven } from "./poisons.ts";

export type Given =
  | { readonly kind: "accepted" }
  /** With what the door says. */
  | { readonly kind: "refused"; readonly why: string }
  /** No answer, a broken connection, or an error of the server's own. */
  | { readonly kind: "failed"; readonly why: string };

export interface PoisonWorld {
  give(given: PoisonGiven, to: string): Promise<Given>;
  /** Hands over a good message and answers how long it took to arrive; undefined: longer than `msMax`. */
  sendBehind(to: string, msMax: number): Promise<number | undefined>;
  /** Its state when it waits for nobody but a person, or is over; undefined: not within `msMax`. */
  untilAtRest(to: string, msMax: number): Promise<string | undefined>;
  /** Deaths of the dispatcher so far. */
  deaths(): number;
  stop(): Promise<void>;
}

const ANSWER_MS_MAX = 30_000;
const LOOK_MS = 5;
const TRY_MS = 50;
/** More than any body that the door takes as it is configured. */
const BODY_BYTES_TAKEN = 30_000_000;
const AT_REST = new Set(["held", "sent", "bounced", "expired", "unknown"]);

export async function bringUpPoisonWorld(scope: Scope): Promise<PoisonWorld> {
  const installation = makeInstallation(scope, "poison");
  const sink = await startTruthSink(path.join(installation.folder, "sink"));
  scope.after(() => sink.stop());
  installation.configure(`
from: "Shop <shop@shop.example>"
lanes:
  transactional: { outlets: [sink], unknown: hold, retry: ["1 s"] }
outlets:
  sink: { type: smtp, hosts: ["127.0.0.1:${sink.port}"], tls: "off", helo_name: poison.example }
`);
  const [httpPort, smtpPort] = [await freePort(), await freePort()];
  const supervisor = await installation.up({
    POSTLANE_LISTEN__HTTP: `127.0.0.1:${httpPort}`,
    POSTLANE_LISTEN__SMTP: `127.0.0.1:${smtpPort}`,
  });
  await untilListening(httpPort);
  await untilListening(smtpPort);
  const key = await makeKey(installation, "--scope", "operate");
  const ledger = openLedger(sink.ledgerFile);
  scope.after(() => ledger.close());
  const received = new Set<string>();
  const hasReceived = (to: string): boolean => {
    for (const { recipient } of ledger.next()) received.add(recipient);
    return received.has(to);
  };
  const books = openSiteDatabase(installation.dataDir);
  scope.after(() => books.close());
  const http = createHttp(`http://127.0.0.1:${httpPort}`, key);
  const enqueue = async (email: string): Promise<Given> => {
    try {
      const { kind } = await books.call((client) => client.query("SELECT postlane.enqueue($1::jsonb)", [email]));
      return kind === "committed" ? { kind: "accepted" } : { kind: "failed", why: kind };
    } catch (error) {
      return { kind: "refused", why: (error as Error).message };
    }
  };
  await http("PUT", `/templates/${PLAIN}`, JSON.stringify({ subject: "Plain", text: "{{ v | json }}" }));
  let templates = 0;

  return {
    async give(given, to) {
      switch (given.kind) {
        case "template": {
          const id = `poison-${++templates}`;
          const pushed = await http("PUT", `/templates/${id}`, JSON.stringify(given.template));
          if (pushed.kind !== "accepted") return pushed;
          // By the database, which asks less of what it is given than the HTTP door.
          return await enqueue(`{"to":"${to}","template":{"id":"${id}","variables":${variablesOf(given.variables)}}}`);
        }
        case "sql":
          return await enqueue(given.email.replace("TO", to));
        case "email":
          return await http("POST", "/emails", JSON.stringify({ to, ...given.email }));
        case "json":
          return await http("POST", "/emails", given.body.replace("TO", to));
        case "mail":
          return await mail(smtpPort, to, given.content);
      }
    },
    async sendBehind(to, msMax) {
      const beganAt = performance.now();
      const sent = await http("POST", "/emails", JSON.stringify({ to, subject: "Good", text: "Good." }));
      if (sent.kind !== "accepted") throw new Error(`a good message was not taken: ${sent.why}`);
      while (!hasReceived(to)) {
        if (performance.now() > beganAt + msMax) return undefined;
        await Promise.race([sleep(LOOK_MS), supervisor.unexpectedEnd]);
      }
      return performance.now() - beganAt;
    },
    async untilAtRest(to, msMax) {
      for (const beganAt = performance.now(); performance.now() < beganAt + msMax; await sleep(LOOK_MS)) {
        const call = await books.call((client) => readState(client, to));
        if (call.kind === "committed" && AT_REST.has(call.value ?? "")) return call.value;
      }
      return undefined;
    },
    deaths: () => supervisor.printed().split("dispatcher transactional: ready").length - 2,
    async stop() {
      const code = await supervisor.stop();
      if (code !== 0) throw new Error(`postlane up ended with ${code}:\n${supervisor.printed()}`);
    },
  };
}

/** What is too deep to be printed comes as JSON. */
const variablesOf = (variables: unknown): string =>
  typeof variables === "string" ? variables : JSON.stringify(variables);

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** The front comes up beside the dispatchers, and does not say when. */
async function untilListening(port: number): Promise<void> {
  for (let tries = 0; ; tries++) {
    const socket = net.connect({ host: "127.0.0.1", port });
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (tries * TRY_MS > ANSWER_MS_MAX) throw error;
      await sleep(TRY_MS);
    } finally {
      socket.destroy();
    }
  }
}

type Http = (method: string, route: string, body: string) => Promise<Given>;

function createHttp(url: string, key: string): Http {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  return async (method, route, body) => {
    try {
      const signal = AbortSignal.timeout(ANSWER_MS_MAX);
      const answer = await fetch(url + route, { method, headers, body, signal });
      const text = await answer.text();
      if (answer.ok) return { kind: "accepted" };
      const why = `${answer.status} ${text.slice(0, 300)}`;
      return { kind: answer.status < 500 ? "refused" : "failed", why };
    } catch (error) {
      const { message, cause } = error as Error;
      // A server may hang up on a body that it will not take (RFC 9110 §15.5.14), and its answer is lost with that.
      if (body.length > BODY_BYTES_TAKEN && cause instanceof Error && /EPIPE|ECONNRESET/.test(cause.message))
        return { kind: "refused", why: `the connection was closed within a body of ${body.length} bytes` };
      return { kind: "failed", why: `${message}${cause instanceof Error ? `: ${cause.message}` : ""}` };
    }
  };
}

async function mail(port: number, to: string, content: string): Promise<Given> {
  try {
    const smtp = await connectRaw("127.0.0.1", port);
    await beginMail(smtp, "shop@shop.example", to);
    void smtp.write(`${content.replaceAll(/^\./gm, "..")}\r\n.\r\n`);
    const answer = await Promise.race([smtp.reply(), sleep(ANSWER_MS_MAX).then(() => "no answer")]);
    smtp.cut();
    if (answer.startsWith("250")) return { kind: "accepted" };
    return { kind: answer.startsWith("5") ? "refused" : "failed", why: answer.trim() };
  } catch (error) {
    return { kind: "failed", why: (error as Error).message };
  }
}
