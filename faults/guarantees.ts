// docs/reference/guarantees.md, written from what the rig found: each promise of the contract, the faults that it was
// tried against, and how to repeat them. The figures stand beside it in guarantees.json, a row per fault with the commit
// that it was measured on: so a run of one fault renews its row and leaves the others.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { findFaults, type NamedFault } from "./find-faults.ts";
import type { FaultResult } from "./fault-result.ts";
import { PROMISES, type PromiseName } from "./promises.ts";

export type PublishedResult = FaultResult & { readonly commit: string; readonly on: string };

const FOLDER = path.resolve(import.meta.dirname, "../../docs/reference");
const JSON_FILE = path.join(FOLDER, "guarantees.json");
const TEXT_FILE = path.join(FOLDER, "guarantees.md");

/** What was skipped is not published: an older figure says more. */
export async function publish(commit: string, results: readonly FaultResult[]): Promise<void> {
  const faults = await findFaults();
  const rows = new Map(readPublished().map((row) => [row.name, row]));
  const on = new Date().toISOString().slice(0, "2026-01-01".length);
  for (const result of results) if (result.skipped === null) rows.set(result.name, { ...result, commit, on });
  const known = new Set(faults.map(({ name }) => name));
  const kept = [...rows.values()]
    .filter(({ name }) => known.has(name))
    .toSorted((one, other) => one.name.localeCompare(other.name));
  writeFileSync(JSON_FILE, `${JSON.stringify(kept, null, 2)}\n`);
  writeFileSync(TEXT_FILE, printGuarantees(faults, kept));
}

export function readPublished(): readonly PublishedResult[] {
  try {
    return JSON.parse(readFileSync(JSON_FILE, "utf8")) as PublishedResult[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

export function printGuarantees(faults: readonly NamedFault[], rows: readonly PublishedResult[]): string {
  const byName = new Map(rows.map((row) => [row.name, row]));
  const sections = (Object.keys(PROMISES) as PromiseName[]).map((promise, index) =>
    printPromise(index + 1, promise, faults, byName),
  );
  return `${OPENING}\n${sections.join("\n")}\n${printRemarks(rows)}`;
}

const OPENING = `# Guarantees

What Postlane promises, and what it was tried against. This page is written by \`npm run faults -- --full --publish\` from
[its own figures](guarantees.json); nobody edits it. A run is of real processes on one machine, with a site that never
pauses; a ledger outside of the installation keeps what was submitted, accepted and, synced before each 250, received. One
judge lays site, books and ledger beside each other. It is tried itself: with a disk that lies and with a journal that
forgets, it must find what is missing and what came twice.

"Unknown" counts messages of which an attempt was called unknown. A duplicate is a second reception of the same message.
`;

function printPromise(
  number: number,
  promise: PromiseName,
  faults: readonly NamedFault[],
  byName: ReadonlyMap<string, PublishedResult>,
): string {
  const tried = faults.filter(({ fault }) => fault.promises.includes(promise));
  const { title, text } = PROMISES[promise];
  const lines = tried.map(({ name, fault }) => {
    const row = byName.get(name);
    if (row === undefined) return `| ${fault.what} | not yet | | | | | | \`${name}\` |`;
    const verdict = row.ok ? "holds" : "**broken**";
    const slowest = row.recovery_ms_max === null ? "" : `${(row.recovery_ms_max / 1000).toFixed(1)} s`;
    const cells = [
      fault.what,
      verdict,
      `${print(row.runs)} ${fault.unit}, ${print(row.accepted)} messages`,
      print(row.lost),
      `${print(row.duplicates)} / ${print(row.unknown)}`,
      slowest,
      `${row.commit}, ${row.on}`,
      `\`${name}\``,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return `## ${number}. ${title}

${text}

| fault | | tried | lost | duplicates / unknown | slowest recovery | commit | \`npm run faults -- … --full\` |
|---|---|---|---|---|---|---|---|
${lines.join("\n")}
`;
}

function printRemarks(rows: readonly PublishedResult[]): string {
  const remarks = rows.flatMap(({ name, notes, complaints }) => {
    const sentences = [...notes, ...complaints.map((sentence) => `**${sentence}**`)];
    const line = sentences.map((sentence) => sentence.replace(/\.$/, "")).join("; ");
    return sentences.length === 0 ? [] : [`- \`${name}\`: ${line}`];
  });
  return `## What was seen\n\n${remarks.length === 0 ? "Nothing beside the figures.\n" : `${remarks.join("\n")}\n`}`;
}

function print(count: number): string {
  return count.toLocaleString("en-US");
}
