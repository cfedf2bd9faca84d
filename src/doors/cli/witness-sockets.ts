// Both ends of the conversation between a machine under test and its witness: lines over TCP. Thin: what a line means is
// said in doctor/witness-line.ts, and what the witness answers in doctor/witness-book.ts. Lines, connections and silence
// have limits, since anybody on the network may knock.

import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import {
  GREETING,
  LINE_CHARS_MAX,
  parseWitnessLine,
  printTesterLine,
  printWitnessLine,
  WITNESS_VERSION,
  type TesterLine,
  type WitnessLine,
} from "../../doctor/witness-line.ts";
import { openWitnessSession, type WitnessBook } from "../../doctor/witness-book.ts";
import { TOLD_LAG_MS_MAX, type Counts } from "../../doctor/witness-record.ts";
import { systemClock } from "../../platform/clock.ts";
import { CommandFailure } from "./command-failure.ts";

/** The connection of a machine that was cut looks open until then. A disk may stand still for less. */
const SILENCE_MS_MAX = 120_000;
const CONNECTIONS_MAX = 32;
/** `firstKept` of the records counts on it. */
const ANSWER_MS_MAX = TOLD_LAG_MS_MAX;

export interface WitnessServer {
  readonly address: string;
  close(): Promise<void>;
}

export async function serveWitness(
  listen: { readonly host: string; readonly port: number },
  book: WitnessBook,
): Promise<WitnessServer> {
  const sockets = new Set<Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    serveTester(socket, book);
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.listen(listen);
  await once(server, "listening");
  const { address, port, family } = server.address() as AddressInfo;
  return {
    address: family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function serveTester(socket: Socket, book: WitnessBook): void {
  const session = openWitnessSession(book);
  const end = (line: WitnessLine): void => void socket.end(`${printWitnessLine(line)}\n`);
  socket.on("error", () => {}).setTimeout(SILENCE_MS_MAX, () => socket.destroy());
  socket.write(`${GREETING}\n`);
  let turn = Promise.resolve();
  onLines(socket, {
    line: (text) => {
      turn = turn.then(async () => {
        if (!socket.writable) return;
        const answer = await session.take(text);
        if (answer.kind === "no") end(answer);
        else socket.write(`${printWitnessLine(answer)}\n`);
      });
    },
    tooLong: () => end({ kind: "no", code: "line" }),
  });
}

/** Hears no more after a line that is too long. */
function onLines(socket: Socket, hear: { line(text: string): void; tooLong(): void }): void {
  let rest = "";
  const take = (chunk: string): void => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    if (rest.length > LINE_CHARS_MAX || lines.some((line) => line.length > LINE_CHARS_MAX)) {
      socket.off("data", take).resume();
      return hear.tooLong();
    }
    for (const line of lines) hear.line(line.replace(/\r$/, ""));
  };
  socket.setEncoding("latin1").on("data", take);
}

export interface WitnessConnection {
  ask(line: TesterLine): Promise<WitnessLine>;
  /** Says the newest counts as soon as the ones before were heard: what the witness knows is at most ANSWER_MS_MAX old. */
  tell(counts: Counts): void;
  /** Rejects when the witness is gone, or does not answer in time. */
  readonly lost: Promise<never>;
  close(): void;
}

/** Throws a failure with what to do. */
export async function connectToWitness(
  at: { readonly host: string; readonly port: number },
  token: string,
): Promise<WitnessConnection> {
  const socket = net.connect(at).setNoDelay(true);
  const name = `${at.host}:${at.port}`;
  const reader = readLines(socket, name);
  try {
    checkGreeting(await reader.next(), name);
    const connection = conversation(socket, reader, name);
    const answer = await connection.ask({ kind: "hello", version: WITNESS_VERSION, token });
    if (answer.kind !== "ok") throw refusedBy(name, answer);
    return connection;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

interface LineReader {
  next(): Promise<string>;
  readonly lost: Promise<never>;
}

function readLines(socket: Socket, name: string): LineReader {
  const heard: string[] = [];
  let wake = (): void => {};
  let isConnected = false;
  const lost = new Promise<never>((_, reject) => {
    let why = "it hung up";
    socket.on("connect", () => (isConnected = true));
    socket.on("error", ({ message, code }: NodeJS.ErrnoException) => (why = code ?? message));
    socket.on("close", () => reject(isConnected ? lostFailure(name, why) : unreachable(name, why)));
  });
  lost.catch(() => {});
  onLines(socket, {
    line(text) {
      heard.push(text);
      wake();
    },
    tooLong: () => socket.destroy(),
  });
  const answered = async (): Promise<string> => {
    while (heard.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return heard.shift()!;
  };
  return {
    lost,
    async next() {
      let timer = { cancel: (): void => {} };
      const late = new Promise<never>((_, reject) => {
        timer = systemClock.after(ANSWER_MS_MAX, () =>
          reject(unreachable(name, `no answer within ${ANSWER_MS_MAX / 1000} s`)),
        );
      });
      try {
        return await Promise.race([answered(), late, lost.catch(orHeard(heard))]);
      } finally {
        timer.cancel();
      }
    },
  };
}

/** What was said before the end counts. */
function orHeard(heard: string[]): (error: unknown) => string {
  return (error) => {
    const line = heard.shift();
    if (line === undefined) throw error;
    return line;
  };
}

function conversation(socket: Socket, reader: LineReader, name: string): WitnessConnection {
  let turn: Promise<unknown> = Promise.resolve();
  let newest: Counts | undefined;
  let isTelling = false;
  let fail: (error: unknown) => void;
  const unheard = new Promise<never>((_, reject) => (fail = reject));
  const ask = async (line: TesterLine): Promise<WitnessLine> => {
    socket.write(`${printTesterLine(line)}\n`);
    const answer = parseWitnessLine(await reader.next());
    if (answer === undefined) throw new CommandFailure("witness_unclear", "The witness said what no witness says.");
    return answer;
  };
  // One question after the other, since answers carry no number.
  const inTurn = (line: TesterLine): Promise<WitnessLine> => {
    const answer = turn.then(() => ask(line));
    turn = answer.catch(() => {});
    return answer;
  };
  const tellNewest = async (): Promise<void> => {
    isTelling = true;
    while (newest !== undefined) {
      const told = newest;
      newest = undefined;
      const answer = await inTurn({ kind: "told", told });
      if (answer.kind !== "ok") throw refusedBy(name, answer);
    }
    isTelling = false;
  };
  const lost = Promise.race([reader.lost, unheard]);
  lost.catch(() => {});
  return {
    lost,
    ask: inTurn,
    tell(counts) {
      newest = counts;
      if (!isTelling) tellNewest().catch((error: unknown) => fail(error));
    },
    close: () => void socket.end(),
  };
}

function checkGreeting(greeting: string, name: string): void {
  if (greeting === GREETING) return;
  const [, version] = /^postlane-witness (\d{1,6})$/.exec(greeting) ?? [];
  if (version === undefined) {
    throw new CommandFailure("witness_unclear", `What answers at ${name} is no witness. Look for the right port.`);
  }
  throw new CommandFailure(
    "witness_version",
    `The witness at ${name} speaks version ${version}, and this program ${WITNESS_VERSION}. Use the same Postlane on both machines.`,
  );
}

export function refusedBy(name: string, answer: WitnessLine): CommandFailure {
  const code = answer.kind === "no" ? answer.code : answer.kind;
  switch (code) {
    case "token":
      return new CommandFailure(
        "witness_token",
        `The witness at ${name} does not know this token. It printed its own when it started: give it by ` +
          "POSTLANE_WITNESS_TOKEN or --token.",
      );
    case "version":
      return new CommandFailure(
        "witness_version",
        `The witness at ${name} speaks another version. Use the same Postlane.`,
      );
    case "disk":
      return new CommandFailure("witness_disk", `The witness at ${name} cannot write its own file. Look at its disk.`);
    default:
      return new CommandFailure("witness_unclear", `The witness at ${name} refused: ${code}.`);
  }
}

function unreachable(name: string, why: string): CommandFailure {
  return new CommandFailure(
    "witness_unreachable",
    `There is no witness at ${name}: ${why}. Start \`postlane doctor witness --listen ADDRESS:PORT\` there, on an address that ` +
      "this machine reaches.",
  );
}

function lostFailure(name: string, why: string): CommandFailure {
  return new CommandFailure("witness_lost", `The witness at ${name} is gone: ${why}. Begin again when it is back.`);
}
