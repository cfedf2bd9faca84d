// The files that a template's `attachments` names, read whole. They lie within the template's folder: a path that leads out
// of it, by `..`, from the root or through a link, is refused before anything is opened, and so is what is no plain file.
// All together are read up to their limit and no further.

import { realpath, stat } from "node:fs/promises";
import path from "node:path";
import {
  ATTACHMENTS_BYTES_MAX,
  ATTACHMENTS_MAX,
  ATTACHMENTS_TOO_LARGE,
  TOO_MANY_ATTACHMENTS,
} from "./attachment-problems.ts";
import type { TemplateAttachment, TemplateProblem } from "./compiled-template.ts";
import type { Place } from "./parse-template.ts";
import { readUpTo } from "./read-up-to.ts";
import { type AttachmentWish, problemAt } from "./template-yaml.ts";

export interface AttachmentsRead {
  readonly attachments: readonly TemplateAttachment[];
  readonly octets: readonly Uint8Array[];
  /** Where each stands in `template.yaml`. */
  readonly places: readonly Place[];
}

export async function readAttachmentFiles(
  dir: string,
  wishes: readonly AttachmentWish[],
  problems: TemplateProblem[],
): Promise<AttachmentsRead> {
  const read: { attachment: TemplateAttachment; octets: Uint8Array; place: Place }[] = [];
  const refuse = (place: Place, message: string): void =>
    void problems.push(problemAt("template.yaml", place, message));
  if (wishes.length > ATTACHMENTS_MAX) refuse(wishes[ATTACHMENTS_MAX]!.place, TOO_MANY_ATTACHMENTS);
  let bytesLeft = ATTACHMENTS_BYTES_MAX;
  for (const { file, place, ...said } of wishes.slice(0, ATTACHMENTS_MAX)) {
    const octets = await readWithin(dir, file, bytesLeft);
    if (typeof octets === "string") {
      refuse(place, octets);
      if (octets === ATTACHMENTS_TOO_LARGE) break;
      continue;
    }
    bytesLeft -= octets.length;
    const attachment = { filename: path.basename(file), ...said, bytes: octets.length };
    read.push({ attachment, octets, place });
  }
  return {
    attachments: read.map(({ attachment }) => attachment),
    octets: read.map(({ octets }) => octets),
    places: read.map(({ place }) => place),
  };
}

/** Its octets, or what is wrong. */
async function readWithin(dir: string, file: string, bytesMax: number): Promise<Uint8Array | string> {
  if (file === "" || path.isAbsolute(file) || file.split("/").includes(".."))
    return `"${file}" is not a file within the template's folder, such as attachments/terms.pdf`;
  try {
    const real = await realpath(path.join(dir, file));
    if (!isWithin(await realpath(dir), real))
      return `"${file}" leads out of the template's folder: put the file itself there`;
    if (!(await stat(real)).isFile()) return `"${file}" is not a file`;
    const octets = await readUpTo(real, bytesMax + 1);
    return octets.length > bytesMax ? ATTACHMENTS_TOO_LARGE : octets;
  } catch (error) {
    return `"${file}" cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function isWithin(folder: string, file: string): boolean {
  return file.startsWith(folder.endsWith(path.sep) ? folder : folder + path.sep);
}
