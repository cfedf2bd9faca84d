// A name server on 127.0.0.1 that answers from a made-up zone, by UDP: the outside of tests that ask the DNS. Only what
// those need of RFC 1035: one question, answers with compressed names, an error code, or silence. Like a resolver it
// follows a CNAME by itself. The zone is read at each question, so that a test may change it.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { TestContext } from "node:test";
import { parseIp } from "../../src/senders/domains/ip-address.ts";

export type ZoneAnswer =
  /** Exchanges in their order of preference; addresses. */
  | {
      readonly kind: "records";
      readonly MX?: readonly string[];
      readonly A?: readonly string[];
      readonly AAAA?: readonly string[];
      /** A text of one string, or of several. */
      readonly TXT?: readonly (string | readonly string[])[];
      readonly PTR?: readonly string[];
      /** Then nothing else. */
      readonly CNAME?: string;
    }
  | { readonly kind: "no_such_name" }
  | { readonly kind: "servfail" }
  | { readonly kind: "silence" };

export interface FakeDns {
  /** As in `resolvers` of the configuration. */
  readonly address: string;
  readonly asked: readonly string[];
}

type RecordType = "A" | "PTR" | "MX" | "TXT" | "AAAA";

const TYPES: Readonly<Record<number, RecordType>> = { 1: "A", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA" };
const CNAME = 5;

export async function startFakeDns(t: TestContext, zone: Readonly<Record<string, ZoneAnswer>>): Promise<FakeDns> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (query, from) => {
    const { name, type, end } = readQuestion(query);
    asked.push(`${name} ${TYPES[type] ?? type}`);
    const answer = zone[name.toLowerCase()] ?? { kind: "no_such_name" };
    const target = answer.kind === "records" ? answer.CNAME : undefined;
    const led = target === undefined ? answer : (zone[target] ?? { kind: "no_such_name" });
    if (led.kind === "silence") return;
    socket.send(reply(query.subarray(0, end), type, led, target), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.after(() => new Promise<void>((resolve) => void socket.close(() => resolve())));
  return { address: `127.0.0.1:${socket.address().port}`, asked };
}

function readQuestion(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (; query[at] !== 0; at += query[at]! + 1) labels.push(query.toString("latin1", at + 1, at + 1 + query[at]!));
  return { name: labels.join("."), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** `alias`: what the name is a CNAME of; the records are that name's. */
function reply(
  question: Buffer,
  type: number,
  answer: Exclude<ZoneAnswer, { kind: "silence" }>,
  alias: string | undefined,
): Buffer {
  const found = answer.kind === "records" ? recordsOf(TYPES[type], answer) : [];
  const owner = alias === undefined ? OF_THE_QUESTION : encodeName(alias);
  const data = [
    ...(alias === undefined ? [] : [record(OF_THE_QUESTION, CNAME, encodeName(alias))]),
    ...found.map((one) => record(owner, type, one)),
  ];
  const header = Buffer.from(question);
  const code = { records: 0, servfail: 2, no_such_name: 3 }[answer.kind];
  header.writeUInt16BE(0x8580 | code, 2);
  header.writeUInt16BE(data.length, 6);
  header.writeUInt32BE(0, 8);
  return Buffer.concat([header, ...data]);
}

function recordsOf(type: RecordType | undefined, zone: Extract<ZoneAnswer, { kind: "records" }>): readonly Buffer[] {
  switch (type) {
    case "MX":
      return (zone.MX ?? []).map((exchange, index) =>
        Buffer.concat([Buffer.from([0, index * 10]), encodeName(exchange)]),
      );
    case "A":
      return (zone.A ?? []).map((address) => Buffer.from(address.split(".").map(Number)));
    case "AAAA":
      return (zone.AAAA ?? []).map((address) => Buffer.from(parseIp(address)!.octets));
    case "TXT":
      return (zone.TXT ?? []).map((text) => Buffer.concat([text].flat().map(encodeString)));
    case "PTR":
      return (zone.PTR ?? []).map(encodeName);
    case undefined:
      return [];
  }
}

function encodeName(name: string): Buffer {
  const labels = name.split(".").filter((label) => label !== "");
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.of(0),
  ]);
}

function encodeString(text: string): Buffer {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
}

/** A pointer to the name in the question. */
const OF_THE_QUESTION = Buffer.from([0xc0, 12]);

function record(owner: Buffer, type: number, data: Buffer): Buffer {
  const head = Buffer.from([0, type, 0, 1, 0, 0, 0, 60, 0, 0]);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, head, data]);
}
