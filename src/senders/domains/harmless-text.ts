// What a foreign zone holds, fit to be shown: no control characters, and not longer than a line.

const SHOWN_CHARS_MAX = 120;

export function harmlessText(text: string): string {
  const plain = text.replaceAll(/[^\u0020-\u007e]/g, "\u{fffd}");
  return plain.length <= SHOWN_CHARS_MAX ? plain : `${plain.slice(0, SHOWN_CHARS_MAX)}…`;
}
