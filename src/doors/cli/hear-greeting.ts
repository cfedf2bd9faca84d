// What an SMTP server greets with: connects, reads one line, and goes. Sends nothing.

import { connect } from "node:net";

const HEAR_MS_MAX = 3000;
/** RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets. */
const LINE_CHARS_MAX = 512;

/** Undefined: nobody is there, or nothing was said in time. */
export function hearGreeting(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port }).setEncoding("latin1").setTimeout(HEAR_MS_MAX);
    let heard = "";
    const end = (line?: string): void => {
      socket.destroy();
      resolve(line);
    };
    socket.on("data", (chunk: string) => {
      heard += chunk;
      if (heard.includes("\n") || heard.length > LINE_CHARS_MAX) end(heard.split(/\r?\n/)[0]);
    });
    socket.on("timeout", () => end());
    socket.on("error", () => end());
    socket.on("close", () => end());
  });
}
