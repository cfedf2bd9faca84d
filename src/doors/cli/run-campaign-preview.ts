// `postlane campaign preview`: one recipient's copy for a terminal, a file or a program.

import { writeFileSync } from "node:fs";
import { previewCopy, type CopyOf, type PreviewedCopy } from "../../preflight/preview-copy.ts";
import { systemClock } from "../../platform/clock.ts";
import { CommandFailure, EXIT_DONE, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { countOf, harmless } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { campaignNamed } from "./run-campaign.ts";
import { withDatabase } from "./with-database.ts";

export interface CampaignPreviewOptions extends CommonOptions {
  readonly recipient?: string;
  readonly line?: number;
  readonly as?: string;
  readonly out?: string;
}

const FORMS = ["text", "html", "raw"] as const;
type Form = (typeof FORMS)[number];

export async function runCampaignPreview(name: string, options: CampaignPreviewOptions): Promise<number> {
  const form = readForm(options.as);
  const of = readCopyOf(options);
  const config = readConfig(options);
  const copy = await withDatabase(config, async (pool) => {
    const campaign = await campaignNamed(pool, name);
    const answer = await previewCopy({ pool, clock: systemClock, settings: config }, campaign, of);
    if (answer.kind === "copy") return answer.copy;
    throw answer.kind === "failed" ? heldWith(answer) : nobody(name, of);
  });
  const output = createOutput(options);
  if (options.out !== undefined) {
    const octets = Buffer.from(bodyOf(copy, form ?? "raw"));
    writeOut(options.out, octets);
    output.answer({ recipient: copy.recipient, out: options.out, bytes: octets.length });
    output.print(
      `${harmless(copy.recipient)}'s copy is in ${harmless(options.out)}: ${countOf(octets.length, "byte")}`,
    );
    return EXIT_DONE;
  }
  output.answer(copy);
  for (const line of form === undefined ? printCopy(copy) : linesOf(bodyOf(copy, form))) output.print(line);
  output.note("the real one has a Message-ID, an address to unsubscribe by and a DKIM signature of its own");
  return EXIT_DONE;
}

function readForm(given: string | undefined): Form | undefined {
  const form = FORMS.find((known) => known === given);
  if (given !== undefined && form === undefined)
    throw misused(`--as "${harmless(given)}": a copy is shown as ${FORMS.join(", ")}.`);
  return form;
}

function readCopyOf({ recipient, line }: CampaignPreviewOptions): CopyOf {
  if (recipient !== undefined && line !== undefined) throw misused("Give --recipient or --line, not both.");
  if (recipient !== undefined) return { kind: "address", address: recipient };
  return line === undefined ? { kind: "first" } : { kind: "line", line };
}

function nobody(name: string, of: CopyOf): CommandFailure {
  const who =
    of.kind === "first"
      ? "Nobody is"
      : of.kind === "address"
        ? `${harmless(of.address)} is not`
        : `Line ${of.line} of a file is not`;
  return new CommandFailure("recipient_not_found", `${who} on the list of campaign "${name}".`);
}

function heldWith({ recipient, problem }: { readonly recipient: string; readonly problem: string }): CommandFailure {
  return new CommandFailure(
    "copy_failed",
    `The message to ${harmless(recipient)} would be held: ${harmless(problem)}. Mend the template or the data.`,
  );
}

function bodyOf(copy: PreviewedCopy, form: Form): string {
  if (form === "raw") return copy.raw;
  const body = copy[form];
  if (body !== null) return body;
  throw new CommandFailure("no_such_part", `The copy has no ${form === "html" ? "HTML" : "text"} part.`);
}

function writeOut(file: string, octets: Buffer): void {
  try {
    writeFileSync(file, octets);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandFailure("out", `--out ${harmless(file)} cannot be written: ${reason}.`);
  }
}

function printCopy(copy: PreviewedCopy): readonly string[] {
  const body = copy.text ?? "(no text part: --as html shows the other one)";
  return [...copy.headers.map(harmless), "", ...linesOf(body)];
}

/** Nothing in it reaches the terminal as an order. */
function linesOf(text: string): readonly string[] {
  return text
    .replace(/\r?\n$/, "")
    .split(/\r\n?|\n/)
    .map((line) => harmless(line.replaceAll("\t", "  ")));
}
