// Which language a page speaks.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { chooseLanguage } from "./choose-language.ts";
import { LANGUAGES } from "./languages.ts";

test("the recipient's data go before the browser, and English comes last", () => {
  assert.equal(chooseLanguage("pt-BR", "de"), "pt");
  assert.equal(chooseLanguage("de_AT.UTF-8", undefined), "de");
  assert.equal(chooseLanguage("tlh", "da, en;q=0.8"), "da");
  assert.equal(chooseLanguage(null, "xx;q=1, fr-CH;q=0.7, it;q=0.9"), "it");
  assert.equal(chooseLanguage(null, "fr;q=0, *;q=0.5"), "en");
  assert.equal(chooseLanguage("constructor", "__proto__, toString"), "en");
  fc.assert(fc.property(fc.string(), fc.string(), (locale, asked) => chooseLanguage(locale, asked) in LANGUAGES));
});
