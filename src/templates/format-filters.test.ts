import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { liquidFor, renderNodes, type EngineSetting } from "./liquid-engine.ts";

/** Some spaces of `Intl` are narrow or do not break. */
function print(text: string, data: Record<string, unknown> = {}, setting: EngineSetting = {}): string {
  const engine = liquidFor("text", setting);
  return renderNodes(engine, engine.parse(text), data).replaceAll(/[\u00a0\u202f\u2009]/g, " ");
}

test("every example of the reference prints what stands beside it", () => {
  const page = readFileSync(new URL("../../../docs/reference/templates.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `(\{\{.+\}\})` \| `(\S+)` \| (.+?) \|$/gm)];
  assert.ok(rows.length >= 20, `only ${rows.length} examples`);
  const data = JSON.parse(/```json\n([^`]+)```/.exec(page)![1]!) as Record<string, unknown>;
  for (const [, text, locale, shown] of rows) {
    const setting = { locale: locale!, time_zone: "Europe/Vienna" };
    assert.equal(print(text!.replaceAll("\\|", "|"), data, setting), shown, `${text} in ${locale}`);
  }
});

test("locale and zone of the message go before the template's, also within a partial", () => {
  const setting = {
    locale: "en",
    time_zone: "America/New_York",
    partials: { "when.liquid": "{{ at | format_date_time: 'short' }}" },
  };
  const at = "2027-01-31T02:00:00Z";
  assert.equal(print("{% render 'when' %}", { at }, setting), "1/30/27, 9:00 PM");
  const berlin = { at, locale: "de_AT", time_zone: "Europe/Vienna" };
  assert.equal(print("{% render 'when' %}", berlin, setting), "31.01.27, 03:00");
  assert.equal(print("{{ at | date: '%d. %B %H:%M' }}", berlin, setting), "31. Jänner 03:00");
  assert.equal(print("{{ at | format_time: locale: 'en', time_zone: 'UTC' }}", berlin, setting), "2:00 AM");
  assert.equal(print("{{ at | date: '%d %B %H:%M' }}", { at }), "31 January 02:00");
});

test("a day of the calendar is the same in every zone", () => {
  assert.equal(print("{{ '2027-01-31' | format_date }}", {}, { time_zone: "America/Los_Angeles" }), "January 31, 2027");
});

test("nothing prints nothing", () => {
  const filters = ["format_date", "format_time", "format_number", "format_currency: 'EUR'", "format_list"];
  for (const filter of [...filters, "plural: other: '#'"])
    assert.equal(print(`{{ none | ${filter} }}{{ "" | ${filter} }}`), "", filter);
});

test("misuse is an error with its place, and the value cannot reach a terminal by it", () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["{{ 5 | format_currency: 'XYZQ' }}", /format_currency: "XYZQ" is not a currency/],
    ["{{ 5 | format_currency }}", /is not a currency/],
    ["{{ 'x\u001b[2J' | format_number }}", /format_number: "x \[2J" is not a number/],
    ["{{ '1e5' | format_number }}", /is not a number/],
    ["{{ 5 | format_number: digits: 21 }}", /"digits" is a whole number from 0 to 20/],
    ["{{ 5 | format_number: digit: 2 }}", /does not know "digit"/],
    ["{{ 5 | format_number: 2 }}", /takes no argument without a name/],
    ["{{ 'tomorrow' | format_date }}", /is not a time/],
    ["{{ '2027-02-31' | format_date }}", /is not a time/],
    ["{{ '2027-01-31T09:00' | format_date }}", /is not a time/],
    ["{{ '2027-01-31' | format_time }}", /has no time of day/],
    ["{{ '2027-01-31' | format_date: 'huge' }}", /is not one of full, long, medium, short/],
    ["{{ 1 | plural: one: '#' }}", /needs a text for "other"/],
    ["{{ 'x' | format_list }}", /is not a list/],
    ["{{ 1 | format_number: locale: '!' }}", /is not a locale/],
    ["{{ '2027-01-31' | format_date: time_zone: 'Mars' }}", /is not a time zone/],
  ];
  for (const [text, expected] of wrong) {
    const place = { name: "RenderError", message: expected };
    assert.throws(() => print(`\n  ${text}`), place, text);
    assert.throws(() => print(`\n  ${text}`), /line:2, col:3/, text);
  }
});
