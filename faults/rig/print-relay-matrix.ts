// docs/reference/relay-matrix.md: the expectation of relay-matrix.ts as a page for readers, phase by phase.

import { allCells, MATRIX, type Behaviour, type CellGroup, type MatrixPhase } from "./relay-matrix.ts";

export function printRelayMatrix(): string {
  return `${openingOf(allCells().length)}\n${MATRIX.map(printPhase).join("\n")}`;
}

const openingOf = (count: number): string => `# What a relay can do, and what becomes of the message

${count} cells: whatever a relay answers, whenever, and what is to come of it. The page is made from
\`faults/rig/relay-matrix.ts\`, which was derived from the RFCs that it names and from [outcomes](outcomes.md);
\`npm run faults -- a-relay-answers\` tries every cell on real sockets, with and without PIPELINING and with the next
envelope riding behind the final dot.

**How to read it.** A section is a phase: the moment in which the relay misbehaves, once. A row has what it does then: a
reply by its code, with the enhanced code where one comes along, or another deed in words; "good" is the reply that the
phase hopes for. *The message* is its [outcome](outcomes.md) with the failure scope: who is to blame, and so who waits.
*The connection* says whether the next message goes by the same one. In every row the next message arrives once, under its
own envelope, and what is neither sent nor unknown is not with the relay.
`;

function printPhase({ name, moment, good, groups }: MatrixPhase): string {
  const rows = groups.map(printGroup).join("\n");
  return `## ${name}

${moment} Good is \`${good}\`.

| the relay | the message | the connection | why |
|---|---|---|---|
${rows}
`;
}

function printGroup({ when, result, connection, because }: CellGroup): string {
  return `| ${when.map(printBehaviour).join(", ")} | ${result} | ${connection} | ${because} |`;
}

const printBehaviour = (behaviour: Behaviour): string =>
  /^\d{3}(?: [245]\.\d+\.\d+)?$/.test(behaviour) ? `\`${behaviour}\`` : `*${behaviour}*`;
