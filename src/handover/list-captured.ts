// What the capture outlet wrote, newest first, for a person to look at. Reads only; a file that disappears meanwhile is
// left out. Names are never paths.

import { open, readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";

export interface CapturedMessage {
  readonly name: string;
  readonly at: Date;
  readonly bytes: number;
  readonly sender: string;
  readonly recipient: string;
  /** Decoded; empty when there is none. */
  readonly subject: string;
}

/** Octets read of each file: the header fields that are shown stand in it. */
const HEADER_BYTES_MAX = 16_384;

export async function listCaptured(dir: string, limit: number): Promise<readonly CapturedMessage[]> {
  const names = (await namesIn(dir)).toSorted().toReversed().slice(0, limit);
  const messages = await Promise.all(names.map((name) => describeFile(dir, name)));
  return messages.filter((message) => message !== undefined);
}

/** The whole message as it was written; undefined when there is none of that name. */
export async function readCaptured(dir: string, name: string): Promise<string | undefined> {
  if (!isFileName(name)) return undefined;
  return orUndefinedIfMissing(readFile(path.join(dir, "new", name), "utf8"));
}

async function namesIn(dir: string): Promise<readonly string[]> {
  const names = await orUndefinedIfMissing(readdir(path.join(dir, "new")));
  return (names ?? []).filter(isFileName);
}

const isFileName = (name: string): boolean => /^\d{13}\.[\w=+.-]+$/.test(name);

async function describeFile(dir: string, name: string): Promise<CapturedMessage | undefined> {
  const file = path.join(dir, "new", name);
  const found = await orUndefinedIfMissing(Promise.all([stat(file), readHead(file)]));
  if (found === undefined) return undefined;
  const [{ size }, head] = found;
  const field = (fieldName: string): string => headerField(head, fieldName);
  return {
    name,
    at: new Date(Number(name.slice(0, 13))),
    bytes: size,
    sender: field("Return-Path").replace(/^<(.*)>$/, "$1"),
    recipient: field("Delivered-To"),
    subject: decodeWords(field("Subject")),
  };
}

async function readHead(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_BYTES_MAX), 0, HEADER_BYTES_MAX, 0);
    const text = buffer.toString("utf8", 0, bytesRead);
    const end = text.indexOf("\r\n\r\n");
    return end < 0 ? text : text.slice(0, end);
  } finally {
    await handle.close();
  }
}

function headerField(head: string, name: string): string {
  const unfolded = head.replaceAll(/\r\n(?=[ \t])/g, "");
  const line = unfolded.split("\r\n").find((candidate) => candidate.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  return line === undefined ? "" : line.slice(name.length + 1).trim();
}

// RFC 2047: white space between two encoded words is not shown. Words of one character may be split between them, so
// octets of neighbours in the same charset are joined before they are read.
function decodeWords(text: string): string {
  return text.replaceAll(/=\?[^? ]+\?[bq]\?[^? ]*\?=(?:\s+=\?[^? ]+\?[bq]\?[^? ]*\?=)*/gi, (run) => {
    const words = [...run.matchAll(/=\?([^? *]+)[^?]*\?([bq])\?([^? ]*)\?=/gi)];
    const charsets = new Set(words.map(([, charset]) => charset!.toLowerCase()));
    const octets = words.map(([, , encoding, body]) => wordOctets(encoding!, body!));
    if (charsets.size === 1) return decodeOctets([...charsets][0]!, Buffer.concat(octets)) ?? run;
    return words.map(([word, charset], at) => decodeOctets(charset!, octets[at]!) ?? word).join("");
  });
}

function wordOctets(encoding: string, body: string): Buffer {
  if (encoding.toLowerCase() === "b") return Buffer.from(body, "base64");
  const escaped = body.replaceAll("_", " ");
  return Buffer.from(
    escaped.replaceAll(/=([\dA-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );
}

function decodeOctets(charset: string, octets: Buffer): string | undefined {
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return undefined;
  }
}

async function orUndefinedIfMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
