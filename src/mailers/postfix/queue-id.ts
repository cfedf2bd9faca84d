// Postfix's queue ids, which are also the names of its queue files. A long one (`enable_long_queue_ids`) is the arrival
// in seconds (base 52, at least six digits), microseconds (base 52, four digits), a `z`, and the inode (base 51): so it
// tells by itself when the message came, and in which hashed folder its file lies. A short one is microseconds and inode
// in hexadecimal; its time is lost. From Postfix's `mail_queue.h`.

/** No vowels, so that no id spells a word. */
const DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
const VALUES: ReadonlyMap<string, number> = new Map(Array.from(DIGITS, (digit, value) => [digit, value]));
const MICROSECOND_DIGITS = 4;

const LONG =
  /^([0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{6,8})([0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{4})z([0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]{1,13})$/;
const SHORT = /^[0-9A-F]{6,21}$/;

export function isQueueId(text: string): boolean {
  return SHORT.test(text) || LONG.test(text);
}

/** When the message arrived; undefined for a short id. */
export function arrivalOfQueueId(queueId: string): number | undefined {
  const match = LONG.exec(queueId);
  if (match === null) return undefined;
  return readDigits(match[1]!) * 1000 + readDigits(match[2]!) / 1000;
}

/** The letters by which hashed queues spread their files into folders, the first level first. */
export function hashOfQueueId(queueId: string): string {
  const match = LONG.exec(queueId);
  if (match === null) return queueId;
  return readDigits(match[2]!)
    .toString(16)
    .toUpperCase()
    .padStart(MICROSECOND_DIGITS + 1, "0");
}

function readDigits(text: string): number {
  let value = 0;
  for (const digit of text) value = value * DIGITS.length + VALUES.get(digit)!;
  return value;
}
