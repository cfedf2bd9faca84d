// `postlane captured list|show`: reads the folders of capture outlets; needs no database.

import { listCaptured, readCaptured, type CapturedMessage } from "../../handover/list-captured.ts";
import type { Config } from "../../platform/config.ts";
import { CommandFailure, EXIT_DONE } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { number, printCount, printTable, printTime, text } from "./printing.ts";
import { captureFolders, readConfig, type CaptureFolder } from "./read-config.ts";

export interface CapturedOptions extends CommonOptions {
  readonly outlet?: string;
}

interface Found extends CapturedMessage {
  readonly outlet: string;
}

export async function runCapturedList(options: CapturedOptions & { readonly limit: number }): Promise<number> {
  const folders = foldersOf(readConfig(options), options.outlet);
  const output = createOutput(options);
  const messages = await newest(folders, options.limit);
  output.answer({ messages: messages.map((message) => ({ ...message, at: message.at.toISOString() })) });
  if (messages.length === 0) output.print(`nothing was captured in ${folders.map(({ dir }) => dir).join(", ")} so far`);
  else for (const line of printTable(COLUMNS, messages.map(printRow))) output.print(line);
  return EXIT_DONE;
}

export async function runCapturedShow(name: string, options: CapturedOptions): Promise<number> {
  const folders = foldersOf(readConfig(options), options.outlet);
  const wanted = name === "latest" ? (await newest(folders, 1))[0]?.name : name;
  for (const { outlet, dir } of wanted === undefined ? [] : folders) {
    const message = await readCaptured(dir, wanted!);
    if (message === undefined) continue;
    createOutput(options).answer({ name: wanted, outlet, message });
    if (options.json !== true) process.stdout.write(process.stdout.isTTY ? forTerminal(message) : message);
    return EXIT_DONE;
  }
  throw new CommandFailure(
    "captured_not_found",
    `There is no captured mail "${name}". \`postlane captured list\` shows the names.`,
  );
}

function foldersOf(config: Config, outlet: string | undefined): readonly CaptureFolder[] {
  const all = captureFolders(config);
  const folders = outlet === undefined ? all : all.filter((folder) => folder.outlet === outlet);
  if (folders.length > 0) return folders;
  const names = all.map((folder) => folder.outlet).join(", ") || "none";
  throw new CommandFailure(
    "outlet_not_capture",
    outlet === undefined
      ? "No outlet of type capture is configured: mail leaves this machine, and nothing is kept to be looked at."
      : `"${outlet}" is no outlet of type capture. Outlets of that type: ${names}.`,
  );
}

async function newest(folders: readonly CaptureFolder[], limit: number): Promise<readonly Found[]> {
  const lists = await Promise.all(
    folders.map(async ({ outlet, dir }) => (await listCaptured(dir, limit)).map((message) => ({ ...message, outlet }))),
  );
  return lists
    .flat()
    .toSorted((one, other) => (one.name < other.name ? 1 : -1))
    .slice(0, limit);
}

const COLUMNS = [text("name"), text("when"), text("from"), text("to"), text("subject"), number("bytes")];

function printRow({ name, at, sender, recipient, subject, bytes }: Found): readonly string[] {
  return [name, printTime(at.toISOString()), sender, recipient, subject, printCount(bytes)];
}

/** Line breaks and tabs pass; what could steer the terminal does not. */
function forTerminal(message: string): string {
  return message.replaceAll("\r\n", "\n").replaceAll(/[^\P{Cc}\n\t]/gu, "\u{fffd}");
}
