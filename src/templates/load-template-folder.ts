// Reads a template from its folder: `template.yaml`, `body.html`, `body.txt` (one of the two, or both), `partials/` and the
// attachments that it names, and partials that several templates share from a folder of theirs. Everything that is wrong is
// told at once, with file, line and column. Reads these files and no others, each up to a limit, and does not yet compare
// anything with a list.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { TemplateProblem, TemplateSource } from "./compiled-template.ts";
import { parseTemplate, START, type TemplatePlaces } from "./parse-template.ts";
import { isPartialFile, PARTIALS_MAX } from "./partial-files.ts";
import { prepareTemplate, templateOddities, type TemplatePrepared } from "./prepare-template.ts";
import { type AttachmentsRead, readAttachmentFiles } from "./read-attachment-files.ts";
import { readUpTo } from "./read-up-to.ts";
import { NO_SETTINGS, problemAt, readSettings, type TemplateSettings } from "./template-yaml.ts";

export interface TemplateFolders {
  /** Partials that several templates share; what is used of them goes into the template. Its own go before. */
  readonly sharedDir?: string;
}

export async function loadTemplateFolder(dir: string, { sharedDir }: TemplateFolders = {}): Promise<TemplatePrepared> {
  const [yaml, html, text] = await Promise.all(FILES.map((file) => readTemplateFile(dir, file)));
  const problems = [yaml!, html!, text!].flatMap((file) => (file.kind === "bad" ? [file.problem] : []));
  const settings = settingsOf(yaml!, dir, problems);
  const attachments = await readAttachmentFiles(dir, settings.attachments, problems);
  const own = await readPartials(join(dir, PARTIALS_DIR), "optional", problems);
  const shared = sharedDir === undefined ? {} : await readPartials(sharedDir, "required", problems);
  const source = sourceOf(settings, attachments, html!, text!, own);
  const places = placesOf(settings, attachments);
  if (yaml!.kind === "read") problems.push(...templateOddities(source, places));
  if (problems.length > 0) return { kind: "bad", problems };
  return prepareTemplate(withShared(source, shared), places, attachments.octets);
}

const YAML_BYTES_MAX = 65_536;
/** In UTF-8 a character has at most four octets; what then is too long is told by its characters. */
const BODY_BYTES_MAX = 4_000_000;
const FILES = [
  { name: "template.yaml", bytesMax: YAML_BYTES_MAX },
  { name: "body.html", bytesMax: BODY_BYTES_MAX },
  { name: "body.txt", bytesMax: BODY_BYTES_MAX },
] as const;
const PARTIALS_DIR = "partials";

type FileRead =
  | { readonly kind: "read"; readonly text: string }
  | { readonly kind: "absent" }
  | { readonly kind: "bad"; readonly problem: TemplateProblem };

interface FileToRead {
  readonly name: string;
  readonly bytesMax: number;
  /** In problems. */
  readonly file?: string;
}

async function readTemplateFile(dir: string, { name, bytesMax, file = name }: FileToRead): Promise<FileRead> {
  try {
    const bytes = await readUpTo(join(dir, name), bytesMax + 1);
    if (bytes.length > bytesMax) return bad(file, `has more than ${bytesMax} bytes`);
    return { kind: "read", text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "absent" };
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return bad(file, "is not UTF-8");
    return bad(file, `cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

// ---- partials --------------------------------------------------------------------------------------------------------

async function readPartials(
  dir: string,
  need: "optional" | "required",
  problems: TemplateProblem[],
): Promise<Readonly<Record<string, string>>> {
  const names = await namesIn(dir, need, problems);
  if (names.length > PARTIALS_MAX) {
    problems.push(problemAt(PARTIALS_DIR, START, `${dir} has more than ${PARTIALS_MAX} partials`));
    return {};
  }
  const texts: [string, string][] = [];
  for (const name of names) {
    const file = `${PARTIALS_DIR}/${name}`;
    const read = isPartialFile(name)
      ? await readTemplateFile(dir, { name, bytesMax: BODY_BYTES_MAX, file })
      : bad(file, "a partial is named like footer.html, footer.txt or footer.liquid");
    if (read.kind === "bad") problems.push(read.problem);
    if (read.kind === "read") texts.push([name, read.text]);
  }
  return Object.fromEntries(texts);
}

/** In one order, whatever the disk's is: the same folder is the same template. */
async function namesIn(
  dir: string,
  need: "optional" | "required",
  problems: TemplateProblem[],
): Promise<readonly string[]> {
  try {
    return (await readdir(dir)).filter((name) => !name.startsWith(".")).toSorted();
  } catch (error) {
    if (need === "optional" && codeOf(error) === "ENOENT") return [];
    const reason = error instanceof Error ? error.message : String(error);
    problems.push(problemAt(PARTIALS_DIR, START, `${dir} cannot be read: ${reason}`));
    return [];
  }
}

/** What the template uses of them. A name that it uses in HTML is taken for its text part, too. */
function withShared(source: TemplateSource, shared: Readonly<Record<string, string>>): TemplateSource {
  if (Object.keys(shared).length === 0) return source;
  const all = { ...source, partials: { ...shared, ...source.partials } };
  const parsed = parseTemplate(all);
  // Then it is told what is wrong with all of them.
  if (parsed.kind === "bad") return all;
  const used = new Set(parsed.template.parts.flatMap(({ partials }) => [...partials.keys()]));
  const kept = Object.entries(shared).filter(([file]) => used.has(file.replace(/\.\w+$/, "")));
  const partials = { ...Object.fromEntries(kept), ...source.partials };
  return { ...source, ...(Object.keys(partials).length === 0 ? {} : { partials }) };
}

// ---- the source -------------------------------------------------------------------------------------------------------

function bad(file: string, message: string): FileRead {
  return { kind: "bad", problem: problemAt(file, START, message) };
}

function settingsOf(file: FileRead, dir: string, problems: TemplateProblem[]): TemplateSettings {
  if (file.kind === "read") return readSettings(file.text, problems);
  if (file.kind === "absent") problems.push(problemAt("template.yaml", START, `there is no template.yaml in ${dir}`));
  return NO_SETTINGS;
}

function placesOf({ keys, headerPlaces }: TemplateSettings, { places }: AttachmentsRead): TemplatePlaces {
  return { keys, headers: headerPlaces, attachments: places };
}

function sourceOf(
  { texts, headers }: TemplateSettings,
  { attachments }: AttachmentsRead,
  html: FileRead,
  text: FileRead,
  partials: Readonly<Record<string, string>>,
): TemplateSource {
  return {
    ...texts,
    subject: texts.subject ?? "",
    ...(headers === undefined ? {} : { headers }),
    ...(Object.keys(partials).length === 0 ? {} : { partials }),
    ...(attachments.length === 0 ? {} : { attachments }),
    ...bodyOf("html", html),
    ...bodyOf("text", text),
  };
}

/** What is there and cannot be read is told as that, and not as missing. */
function bodyOf(name: "html" | "text", file: FileRead): Partial<Record<"html" | "text", string>> {
  return file.kind === "absent" ? {} : { [name]: file.kind === "read" ? file.text : "" };
}
