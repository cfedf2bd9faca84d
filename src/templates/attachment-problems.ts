// What is wrong with the attachments of a template, before it is saved: how many, how large, and what is said of them. Asks
// the writer of mails itself, so that what is saved can be sent. The limits are those of emails (`check_attachments`).

import { attachmentHeaders, type AttachmentHead } from "../compose/attachment-part.ts";
import { ComposeRefused } from "../compose/compose-refused.ts";
import { hasLoneSurrogate } from "../compose/encoded-words.ts";
import type { TemplateAttachment } from "./compiled-template.ts";

/** Of one template. */
export const ATTACHMENTS_MAX = 50;
/** Of all attachments of a template together. */
export const ATTACHMENTS_BYTES_MAX = 10 * 1024 * 1024;

export const TOO_MANY_ATTACHMENTS = `the template has more than ${ATTACHMENTS_MAX} attachments: put several files into one archive`;
export const ATTACHMENTS_TOO_LARGE = `the attachments have more than ${ATTACHMENTS_BYTES_MAX} bytes: link to large files instead of sending them`;

export interface AttachmentProblem {
  /** Undefined: it is about all of them. */
  readonly place: number | undefined;
  readonly message: string;
}

export function attachmentProblems(attachments: readonly TemplateAttachment[]): readonly AttachmentProblem[] {
  if (attachments.length > ATTACHMENTS_MAX) return [{ place: undefined, message: TOO_MANY_ATTACHMENTS }];
  const bytes = attachments.reduce((sum, each) => sum + each.bytes, 0);
  const all = bytes > ATTACHMENTS_BYTES_MAX ? [{ place: undefined, message: ATTACHMENTS_TOO_LARGE }] : [];
  const each = attachments.flatMap((attachment, place) => {
    const message = headProblem(attachment, place) ?? doubleProblem(attachments, place);
    return message === undefined ? [] : [{ place, message }];
  });
  return [...all, ...each];
}

/** As the writer of mails takes it. */
export function headOf({ filename, content_type, content_id }: TemplateAttachment): AttachmentHead {
  return {
    filename,
    ...(content_type === undefined ? {} : { contentType: content_type }),
    ...(content_id === undefined ? {} : { contentId: content_id }),
  };
}

function headProblem(attachment: TemplateAttachment, place: number): string | undefined {
  // JSON could not keep it as it is.
  if (hasLoneSurrogate(attachment.filename)) return `attachments[${place}].filename: holds half a character`;
  try {
    attachmentHeaders(headOf(attachment), place);
    return undefined;
  } catch (error) {
    if (error instanceof ComposeRefused) return error.message;
    throw error;
  }
}

function doubleProblem(attachments: readonly TemplateAttachment[], place: number): string | undefined {
  const id = attachments[place]!.content_id;
  const first = attachments.findIndex(({ content_id }) => content_id === id);
  return id === undefined || first === place
    ? undefined
    : `attachments[${place}].content_id: another attachment has "${id}"`;
}
