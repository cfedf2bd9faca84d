// What stands around the bodies of a mail: what its HTML shows by content id (related), and what is attached (mixed). What
// is said of attachments is checked and written once, by `prepareEnclosures`, for however many mails; their octets come
// with each mail, encoded.

import { type AttachmentHead, attachmentHeaders, type EncodedOctets } from "./attachment-part.ts";
import { ComposeRefused } from "./compose-refused.ts";
import { type MimePart, multipart } from "./multipart.ts";

/** Opaque: made by `prepareEnclosures`. */
export interface Enclosures {
  readonly shown: readonly Enclosure[];
  readonly attached: readonly Enclosure[];
}

interface Enclosure {
  readonly headers: string;
  /** Among the attachments as they were given. */
  readonly place: number;
}

/** Without HTML there is nothing that could show one. */
export function prepareEnclosures(attachments: readonly AttachmentHead[], hasHtml: boolean): Enclosures {
  const shown: Enclosure[] = [];
  const attached: Enclosure[] = [];
  const ids = new Set<string>();
  attachments.forEach((attachment, place) => {
    const { contentId } = attachment;
    if (contentId !== undefined && ids.has(contentId))
      throw new ComposeRefused(`attachments[${place}].content_id`, "two attachments have this content id");
    if (contentId !== undefined) ids.add(contentId);
    const list = contentId !== undefined && hasHtml ? shown : attached;
    list.push({ headers: attachmentHeaders(attachment, place), place });
  });
  return { shown, attached };
}

/**
 * mixed( related( alternative( text, HTML ), what the HTML shows ), what is attached ), without levels of one part.
 * `octets`: in the order in which the attachments were given. `plainParts`: the bodies that are not encoded.
 */
export function encloseBodies(
  bodies: readonly MimePart[],
  { shown, attached }: Enclosures,
  octets: readonly EncodedOctets[],
  given: { readonly messageId: string; readonly plainParts: readonly string[] },
): MimePart {
  const partOf = ({ headers, place }: Enclosure): MimePart => ({ headers, body: octets[place]!.base64 });
  const text = bodies.length === 1 ? bodies[0]! : multipart("alternative", bodies, given);
  const root = bodies.length === 1 ? "text/html" : "multipart/alternative";
  const whole = shown.length === 0 ? text : multipart("related", [text, ...shown.map(partOf)], { ...given, root });
  return attached.length === 0 ? whole : multipart("mixed", [whole, ...attached.map(partOf)], given);
}
