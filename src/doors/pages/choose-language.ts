// The language of a page: what the recipient's data say, else what the browser asks for (RFC 9110 §12.5.4), else English.
// Both are anybody's words: bounded, and anything unknown is passed over.

import { LANGUAGES, type Language } from "./languages.ts";

/** Languages that a browser may ask for; what follows is not looked at. */
const ASKED_MAX = 20;
const HEADER_CHARS_MAX = 500;

export function chooseLanguage(locale: string | null | undefined, acceptLanguage: string | undefined): Language {
  return known(locale ?? "") ?? firstKnown(acceptLanguage ?? "") ?? "en";
}

/** `pt-BR`, `de_AT.UTF-8` → the language that they begin with. */
function known(tag: string): Language | undefined {
  const primary = /^[a-z]{2,3}(?=$|[-_.])/.exec(tag.trim().toLowerCase())?.[0];
  return primary !== undefined && Object.hasOwn(LANGUAGES, primary) ? (primary as Language) : undefined;
}

function firstKnown(acceptLanguage: string): Language | undefined {
  const asked = acceptLanguage
    .slice(0, HEADER_CHARS_MAX)
    .split(",", ASKED_MAX)
    .map((part) => {
      const [tag = "", ...parameters] = part.split(";");
      const q = parameters.map((parameter) => /^\s*q=(\d(?:\.\d{1,3})?)\s*$/i.exec(parameter)?.[1]).find(Boolean);
      return { language: known(tag), weight: q === undefined ? 1 : Number(q) };
    })
    .filter(({ weight }) => weight > 0)
    .toSorted((one, other) => other.weight - one.weight);
  return asked.find(({ language }) => language !== undefined)?.language;
}
