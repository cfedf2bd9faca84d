// Is there a Postfix on this machine that would take mail from here? Its program and its configuration are looked for, and
// whether something answers as SMTP where it should listen. Reads only; a Postfix that sends nothing is found as well.

import { readInstance } from "./read-instance.ts";

export interface PostfixFound {
  readonly configDir: string;
  readonly hostname: string;
  /** `127.0.0.1:25`. */
  readonly host: string;
  /** Its greeting was heard there. */
  readonly isListening: boolean;
}

/** Says what a server greets with, its first line; undefined when nobody is there. */
export type HearGreeting = (host: string, port: number) => Promise<string | undefined>;

const CONFIG_DIR = "/etc/postfix";
const HOST = "127.0.0.1";
const PORT = 25;

export async function findPostfix(hear: HearGreeting): Promise<PostfixFound | undefined> {
  const read = await readInstance(CONFIG_DIR);
  if (read.kind === "failed") return undefined;
  const greeting = await hear(HOST, PORT);
  const { hostname } = read.facts;
  const isListening = greeting?.startsWith("220 ") ?? false;
  return { configDir: CONFIG_DIR, hostname, host: `${HOST}:${PORT}`, isListening };
}
