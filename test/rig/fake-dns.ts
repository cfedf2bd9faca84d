// A name server on 127.0.0.1 that answers from a made-up zone, by UDP: the outside of tests that ask for MX and address
// records. Only what those need of RFC 1035: one question, answers with compressed names, an error code, or silence.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { TestContext } from "node:test";

export type ZoneAnswer =
  /** Exchanges in their order of preference; addresses. */
  | {
      readonly kind: "records";
      readonly MX?: readonly string[];
      readonly A?: readonly string[];
      readonly AAAA?: readonly string[];
    }
  | { readonly kind: "no_such_name" }
  | { readonly kind: "servfail" }
  | { readonly kind: "silence" };

export interface FakeDns {
  /** As in `resolvers` of the configuration. */
  readonly address: string;
  readonly asked: readonly string[];
}

const TYPES: Readonly<Record<number, "A" | "MX" | "AAAA">> = { 1: "A", 15: "MX", 28: "AAAA" };

export async function startFakeDns(t: TestContext, zone: Readonly<Record<string, ZoneAnswer>>): Promise<FakeDns> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (query, from) => {
    const { name, type, end } = readQuestion(query);
    asked.push(`${name} ${TYPES[type] ?? type}`);
    const answer = zone[name.toLowerCase()] ?? { kind: "no_such_name" };
    if (answer.kind === "silence") return;
    socket.send(reply(query.subarray(0, end), type, answer), from.port, from.address);
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

function reply(question: Buffer, type: number, answer: Exclude<ZoneAnswer, { kind: "silence" }>): Buffer {
  const data = answer.kind === "records" ? recordsOf(TYPES[type], answer) : [];
  const header = Buffer.from(question);
  const code = { records: 0, servfail: 2, no_such_name: 3 }[answer.kind];
  header.writeUInt16BE(0x8580 | code, 2);
  header.writeUInt16BE(data.length, 6);
  header.writeUInt32BE(0, 8);
  return Buffer.concat([header, ...data.map((one) => record(type, one))]);
}

function recordsOf(
  type: "A" | "MX" | "AAAA" | undefined,
  zone: Extract<ZoneAnswer, { kind: "records" }>,
): readonly Buffer[] {
  switch (type) {
    case "MX":
      return (zone.MX ?? []).map((exchange, index) =>
        Buffer.concat([Buffer.from([0, index * 10]), encodeName(exchange)]),
      );
    case "A":
      return (zone.A ?? []).map((address) => Buffer.from(address.split(".").map(Number)));
    case "AAAA":
      return (zone.AAAA ?? []).map(() => Buffer.concat([Buffer.alloc(15), Buffer.from([1])]));
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

/** Its name points at the question's. */
function record(type: number, data: Buffer): Buffer {
  const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, 0]);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
