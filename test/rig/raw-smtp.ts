// An SMTP client that a test holds in its hand: it sends what it is told, waits for single replies, and cuts the
// connection where it likes. One reply is awaited at a time; no pipelining.

import { once } from "node:events";
import net from "node:net";

export interface RawSmtp {
  /** Of our side. */
  readonly port: number;
  /** Sends a line and answers the reply to it, all its lines. */
  say(line: string): Promise<string>;
  /** Sends, and waits for nothing. */
  write(text: string): Promise<void>;
  reply(): Promise<string>;
  /** By a reset, as a killed process with unread data does. */
  cut(): void;
}

export async function connectRaw(host: string, port: number): Promise<RawSmtp> {
  const socket = net.connect({ host, port });
  await once(socket, "connect");
  let heard = "";
  let wake = (): void => {};
  socket.setEncoding("latin1").on("data", (piece: string) => {
    heard += piece;
    wake();
  });
  socket.on("error", () => {});
  socket.on("close", () => wake());
  const reply = async (): Promise<string> => {
    for (;;) {
      const whole = /^(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\n/.exec(heard)?.[0];
      if (whole !== undefined) {
        heard = heard.slice(whole.length);
        return whole;
      }
      if (socket.destroyed) throw new Error(`the connection ended after ${JSON.stringify(heard)}`);
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  const write = (text: string): Promise<void> =>
    new Promise((resolve) => socket.write(text, "latin1", () => resolve()));
  await reply();
  return {
    port: socket.localPort!,
    reply,
    write,
    async say(line) {
      await write(`${line}\r\n`);
      return await reply();
    },
    cut: () => void socket.resetAndDestroy(),
  };
}

/** Up to 354 to DATA. */
export async function beginMail(smtp: RawSmtp, from: string, to: string): Promise<void> {
  for (const line of ["EHLO test.example", `MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, "DATA"]) {
    const answer = await smtp.say(line);
    if (!/^[23]/.test(answer)) throw new Error(`${line}: ${answer}`);
  }
}

export const CONTENT = "Subject: Hello\r\nMessage-ID: <1@test.example>\r\n\r\nHello Ann\r\n";

/** A whole mail; answers the reply to its dot. */
export async function sendMail(smtp: RawSmtp, from: string, to: string): Promise<string> {
  await beginMail(smtp, from, to);
  await smtp.write(CONTENT);
  return await smtp.say(".");
}
