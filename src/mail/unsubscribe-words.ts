// What the event of an unsubscribe says in words, written and read in one place: from which list, or from all bulk mail.

const LIST = "from list ";

/** `list` empty: all bulk mail. */
export function wordsOfUnsubscribe(list: string): string {
  return list === "" ? "from all bulk mail" : LIST + list;
}

/** Undefined: all bulk mail. */
export function listUnsubscribedFrom(words: string): string | undefined {
  return words.startsWith(LIST) ? words.slice(LIST.length) : undefined;
}
