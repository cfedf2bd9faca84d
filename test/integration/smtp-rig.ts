// The SMTP door over a real database, on loopback and free ports, with small limits where a test wants them; clients that
// speak by hand; and what the database has kept of their mail.

import { once } from "node:events";
import net from "node:net";
import type { TestContext } from "node:test";
import tls from "node:tls";
import type { Pool } from "pg";
import { markOf } from "../../src/doors/smtp/received-field.ts";
import type { SmtpListenerConfig } from "../../src/platform/config.ts";
import { openSmtpDoor, type SmtpDoor } from "../../src/doors/smtp/smtp-door.ts";
import type { SmtpDoorSettings, SmtpLimits } from "../../src/doors/smtp/smtp-door.ts";
import { systemClock, type Clock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { createMac } from "../../src/platform/mac.ts";
import type { KeyRights } from "../../src/senders/key-store.ts";
import { createKeyring } from "../../src/senders/keyring.ts";
import { makeKey } from "../../src/senders/make-key.ts";
import { createAcceptance } from "../../src/submission/accept-submission.ts";
import type { KeptMail } from "../../src/submission/submission.ts";
import { SITE_RIGHTS } from "../rig/key-rights.ts";

export const TEST_MARK = markOf(createMac(Buffer.from("of a test")));

export interface DoorOptions {
  readonly listeners?: readonly Omit<SmtpListenerConfig, "listen">[];
  readonly limits?: Partial<SmtpLimits>;
  readonly certificate?: SmtpDoorSettings["certificate"];
  readonly allow?: SmtpDoorSettings["allow"];
  readonly clock?: Clock;
  readonly tell?: (line: string) => void;
  /** Any free port, unless one is named. */
  readonly listenAt?: number;
}

export interface OpenDoor {
  /** Of the listeners, in their order. */
  readonly ports: readonly number[];
  readonly port: number;
  readonly door: SmtpDoor;
}

const LIMITS: SmtpLimits = {
  messageBytesMax: 10 * 2 ** 20,
  readingBytesMax: 64 * 2 ** 20,
  recipientsMax: 1000,
  sessionsMax: 500,
  sessionsPerClientMax: 200,
  errorsMax: 20,
  idleMs: 60_000,
};

export async function openDoor(t: TestContext, pool: Pool, options: DoorOptions = {}): Promise<OpenDoor> {
  const { listeners = [{ kind: "smtp" as const }], limits, certificate, clock = systemClock, tell } = options;
  const keyring = createKeyring({ pool, clock, log: silentLog });
  const door = openSmtpDoor(
    {
      listeners: listeners.map((listener) => ({
        ...listener,
        listen: { host: "127.0.0.1", port: options.listenAt ?? 0 },
      })),
      ...(certificate === undefined ? {} : { certificate }),
      allow: options.allow ?? [],
      limits: { ...LIMITS, ...limits },
      host: "door.test",
      messageIdDomain: "site.test",
    },
    {
      acceptance: createAcceptance(pool, clock, new Set(["bulk"])),
      keyring,
      mark: TEST_MARK,
      clock,
      log: silentLog,
      tell: tell ?? (() => {}),
    },
  );
  t.after(async () => {
    await door.stop();
    await keyring.close();
  });
  const ports = await door.opened;
  return { ports, port: ports[0]!, door };
}

// ---- a client by hand ------------------------------------------------------------------------------------------------

/** Says lines and hears replies; any octets, any segmentation. */
export class Talk {
  #socket: net.Socket;
  #heard = "";
  #wake = (): void => {};

  constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#listen();
  }

  /** Connected, greeted, and EHLO said. */
  static async with(port: number, localAddress = "127.0.0.1"): Promise<Talk> {
    const talk = await Talk.at(port, localAddress);
    await talk.say("EHLO client.test");
    return talk;
  }

  /** Connected and greeted. */
  static async at(port: number, localAddress = "127.0.0.1"): Promise<Talk> {
    const talk = new Talk(net.connect({ port, host: "127.0.0.1", localAddress }).setNoDelay(true));
    await talk.reply();
    return talk;
  }

  async startTls(options: tls.ConnectionOptions = { rejectUnauthorized: false }): Promise<tls.TLSSocket> {
    this.#socket.removeAllListeners("data");
    const secure = tls.connect({ ...options, socket: this.#socket });
    await once(secure, "secureConnect");
    this.#socket = secure;
    this.#heard = "";
    this.#listen();
    return secure;
  }

  async say(line: string): Promise<string> {
    this.write(`${line}\r\n`);
    return await this.reply();
  }

  /** The replies to each line, said one after another. */
  async sayAll(...lines: readonly string[]): Promise<readonly string[]> {
    const replies: string[] = [];
    for (const line of lines) replies.push(await this.say(line));
    return replies;
  }

  write(text: string | Buffer): void {
    this.#socket.write(typeof text === "string" ? Buffer.from(text, "latin1") : text);
  }

  /** Each piece in a segment of its own. */
  async writeInPieces(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      await new Promise<void>((resolve) => this.#socket.write(piece, () => resolve()));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /** MAIL, RCPT and DATA; then the content as it is given, with its end. Answers the reply to it. */
  async mail(content: string, to: readonly string[] = ["ann@example.com"], from = "site@example.com"): Promise<string> {
    for (const line of [`MAIL FROM:<${from}>`, ...to.map((each) => `RCPT TO:<${each}>`), "DATA"]) {
      const answer = await this.say(line);
      if (!/^[23]/.test(answer)) return answer;
    }
    this.write(content.replaceAll(/^\./gm, ".."));
    return await this.say(content.endsWith("\r\n") || content === "" ? "." : "\r\n.");
  }

  /** The whole next reply without its last line's end; `closed`: there will be none. */
  async reply(): Promise<string> {
    for (;;) {
      const [whole] = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\n/.exec(this.#heard) ?? [];
      if (whole !== undefined) {
        this.#heard = this.#heard.slice(whole.length);
        return whole.replace(/\r\n$/, "");
      }
      if (this.#socket.destroyed) return "closed";
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  end(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on("data", (piece: Buffer) => {
      this.#heard += piece.toString("latin1");
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => this.#wake());
  }
}

// ---- what was kept ---------------------------------------------------------------------------------------------------

export interface KeptRow {
  readonly id: number;
  readonly door: string;
  readonly credential: string;
  readonly lanes: readonly string[];
  readonly recipients: readonly string[];
  readonly mail: KeptMail;
  /** Octets as Latin-1. */
  readonly raw: string;
}

/** All submissions, in their order. */
export async function keptMail(pool: Pool): Promise<readonly KeptRow[]> {
  const { rows } = await pool.query<Omit<KeptRow, "raw"> & { readonly raw: Buffer }>(
    `SELECT s.id::int, s.door, s.credential, c.body AS mail, c.raw,
       array_agg(l.name ORDER BY m.id) AS lanes, array_agg(m.recipient ORDER BY m.id) AS recipients
     FROM postlane.submission AS s JOIN postlane.content AS c ON c.id = s.id
       JOIN postlane.message AS m ON m.submission_id = s.id JOIN postlane.lane AS l ON l.id = m.lane_id
     GROUP BY s.id, c.id ORDER BY s.id`,
  );
  return rows.map((row) => ({ ...row, raw: row.raw.toString("latin1") }));
}

/** What stands under our Received, on whose form the mail insists. */
export function withoutReceived(raw: string): string {
  const match =
    /^Received: from \S+ \(\[\S+\]\)\r\n\tby door\.test \(Postlane\) with \w+ id pl-[0-9a-f]{16}-[0-9a-f]{16};\r\n\t[^\r\n]+ \+0000\r\n/.exec(
      raw,
    );
  if (match === null) throw new Error(`no Received of ours: ${JSON.stringify(raw.slice(0, 300))}`);
  return raw.slice(match[0].length);
}

// ---- keys ------------------------------------------------------------------------------------------------------------

/** A key, and the word of AUTH PLAIN that gives it. */
export async function keyFor(
  pool: Pool,
  rights: Partial<KeyRights> = {},
): Promise<{ readonly id: number; readonly token: string; readonly credential: string; readonly plain: string }> {
  const { token, key } = await makeKey(pool, { ...SITE_RIGHTS, ...rights });
  return { id: key.id, token, credential: `key:${key.id}`, plain: Buffer.from(`\0site\0${token}`).toString("base64") };
}
