// The attachments of a mail that postal-mime has read with `attachmentEncoding: "arraybuffer"`, to be compared: name, type,
// disposition, content id, and the octets in hex.

import type { Email } from "postal-mime";

export function readAttachments({ attachments }: Email): readonly (readonly unknown[])[] {
  return attachments.map(({ filename, mimeType, disposition, contentId, content }) => [
    filename,
    mimeType,
    disposition,
    contentId,
    Buffer.from(content as ArrayBuffer).toString("hex"),
  ]);
}
