// The library's parser of what a client sends, but for the content of a mail: that goes to a `ContentReader`, and what
// comes behind it waits until the mail is answered. Commands are split by the library.

import { SMTPStream } from "smtp-server/lib/smtp-stream.js";
import type { ContentReader } from "./read-content.ts";

export class ContentStream extends SMTPStream {
  #reading: { readonly reader: ContentReader; readonly onEnd: (goOn: () => void) => void } | undefined;

  /** From here on everything is content, up to its end. */
  startContent(reader: ContentReader, onEnd: (goOn: () => void) => void): void {
    this._dataMode = true;
    this.#reading = { reader, onEnd };
  }

  /** What the library calls with each piece while the content is read. */
  override _feedDataStream(piece: Buffer, done: (error?: Error | null) => void): void {
    const reading = this.#reading;
    const used = reading?.reader.feed(piece);
    if (reading === undefined || used === undefined) return done();
    this._dataMode = false;
    this.#reading = undefined;
    reading.onEnd(() => this._write(piece.subarray(used), "buffer", done));
  }
}
