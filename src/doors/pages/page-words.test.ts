// Every language says everything, and names the list where it must.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CONFIRM_TEXTS } from "../confirm/confirm-texts.ts";
import { UNSUBSCRIBE_TEXTS } from "../unsubscribe/unsubscribe-texts.ts";
import { LANGUAGES } from "./languages.ts";
import { PAGE_WORDS } from "./page-words.ts";

const ALL: Readonly<Record<string, Readonly<Record<string, object>>>> = {
  words: PAGE_WORDS,
  unsubscribe: UNSUBSCRIBE_TEXTS,
  confirm: CONFIRM_TEXTS,
};

test("every language says everything, and names the list where it must", () => {
  for (const [page, languages] of Object.entries(ALL)) {
    assert.deepEqual(Object.keys(languages).toSorted(), Object.keys(LANGUAGES).toSorted(), page);
    for (const [language, texts] of Object.entries(languages)) {
      assert.deepEqual(Object.keys(texts), Object.keys(languages["en"]!), `${page} ${language}`);
      for (const [name, text] of Object.entries(texts) as [string, string][]) {
        assert.equal(text.includes("LIST"), name === "ask" || name === "done", `${page} ${language} ${name}`);
        assert.ok(text.length > 2 && text === text.trim(), `${page} ${language} ${name}`);
      }
    }
  }
});
