// Which attachments go with a claimed row: its own, its template's, or both. What stands in a content's body is only what is
// said of them; the octets are in the cache, under the same content. Pure.

import type { Attachment, EncodedOctets } from "../compose/attachment-part.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import { headOf } from "../templates/attachment-problems.ts";
import type { TemplateAttachment } from "../templates/compiled-template.ts";

/** All attachments of one content; there is at least one. */
export interface AttachmentNeed {
  readonly contentId: number;
  readonly attachments: readonly TemplateAttachment[];
}

export const NO_NEEDS: readonly AttachmentNeed[] = [];

export function templateNeeds(
  contentId: number,
  { attachments = [] }: { readonly attachments?: readonly TemplateAttachment[] },
): readonly AttachmentNeed[] {
  return attachments.length === 0 ? NO_NEEDS : [{ contentId, attachments }];
}

/** Of what was submitted as an email; a mail that came whole has its own within. */
export function ownNeeds({ content, raw, content_id }: ClaimedRow): readonly AttachmentNeed[] {
  if (content === null || raw !== null) return NO_NEEDS;
  return templateNeeds(content_id, content);
}

/** In the order of the needs. Of one content id the last one's, which is the email's: it goes before its template's. */
export function neededAttachments(
  needs: readonly AttachmentNeed[],
  octets: readonly EncodedOctets[],
): readonly Attachment[] {
  const all = needs.flatMap(({ attachments }) => attachments);
  return all.flatMap((attachment, place) => {
    const { content_id } = attachment;
    const isReplaced =
      content_id !== undefined && all.findLastIndex((other) => other.content_id === content_id) > place;
    return isReplaced ? [] : [{ ...headOf(attachment), octets: octets[place]! }];
  });
}
