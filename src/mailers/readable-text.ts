// What a mailer's log, queue or command says, made fit for a terminal and for a text column: no control character and no
// lone surrogate is left.

// oxlint-disable-next-line no-control-regex
const UNFIT = /[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]|\p{Surrogate}/gu;
// oxlint-disable-next-line no-control-regex
const NOT_PRINTABLE_ASCII = /[^\x20-\x7e]/;

export function readableText(text: string): string {
  return NOT_PRINTABLE_ASCII.test(text) ? text.replaceAll(UNFIT, " ") : text;
}
