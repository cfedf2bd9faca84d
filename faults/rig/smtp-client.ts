// The plainest client of SMTP: one mail, one command at a time, AUTH PLAIN in the clear as on the loopback, and how long each
// reply took.

import { once } from "node:events";
import net from "node:net";

export interface OneMail {
  readonly port: number;
  /** A key. */
  readonly token: string;
  readonly sender: string;
  readonly recipient: string;
  /** Lines ending in CRLF, none of which begins with a dot. */
  readonly content: string;
  /** After that a reply counts as missing. */
  readonly replyMsMax: number;
}

export interface SubmittedMail {
  /** Of the reply that decided: the first that is no success, or the final dot's. 0: none came. */
  readonly code: number;
  /** Of the slowest reply. */
  readonly tookMs: number;
}

export async function submitBySmtp(mail: OneMail): Promise<SubmittedMail> {
  const { port, token, sender, recipient, content, replyMsMax } = mail;
  const socket = net.connect({ port, host: "127.0.0.1" }).setNoDelay(true);
  socket.on("error", () => {}); // Whoever waits for a reply hears of it by the close.
  const replies = readReplies(socket);
  const login = Buffer.from(`\0probe\0${token}`).toString("base64");
  const steps: readonly (readonly [string, number])[] = [
    ["", 220],
    ["EHLO probe.crash.example\r\n", 250],
    [`AUTH PLAIN ${login}\r\n`, 235],
    [`MAIL FROM:<${sender}>\r\n`, 250],
    [`RCPT TO:<${recipient}>\r\n`, 250],
    ["DATA\r\n", 354],
    [`${content}.\r\n`, 250],
  ];
  let tookMs = 0;
  let code = 0;
  for (const [command, wanted] of steps) {
    const saidAtMs = performance.now();
    socket.write(command);
    code = await codeWithin(replies, replyMsMax);
    tookMs = Math.max(tookMs, performance.now() - saidAtMs);
    if (code !== wanted) break;
  }
  socket.end("QUIT\r\n");
  socket.destroySoon();
  return { code, tookMs };
}

async function codeWithin(replies: AsyncIterator<number>, msMax: number): Promise<number> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), msMax);
  try {
    const reply = await Promise.race([replies.next(), once(late.signal, "abort")]);
    return "value" in reply && reply.done !== true ? reply.value : 0;
  } finally {
    clearTimeout(timer);
  }
}

/** The code of each whole reply; the text says nothing to a probe. */
async function* readReplies(socket: net.Socket): AsyncGenerator<number> {
  let heard = "";
  try {
    for await (const chunk of socket) {
      heard += (chunk as Buffer).toString("latin1");
      for (let end = heard.indexOf("\r\n"); end >= 0; end = heard.indexOf("\r\n")) {
        const line = heard.slice(0, end);
        heard = heard.slice(end + 2);
        if (/^\d{3}(?: |$)/.test(line)) yield Number(line.slice(0, 3));
      }
    }
  } catch {
    // The connection broke: there are no more replies.
  }
}
