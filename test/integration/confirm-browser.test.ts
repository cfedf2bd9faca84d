// The page to confirm in real Chromium, as a phone shows it and without JavaScript: a person presses the button, and is on the
// list. POSTLANE_TEST_SCREENSHOTS names a folder for pictures of it, to be looked at.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertFits, direction, phonePage, picture, startBrowser } from "../rig/phone.ts";
import { needs } from "../rig/needs.ts";
import { recipientsOf, startSubscriptions } from "./subscription-rig.ts";

test("a person on a phone, without JavaScript, reads the page, presses the button, and is on the list", async (t) => {
  if (!needs(t, "chromium")) return;
  const rig = await startSubscriptions(t);
  await rig.subscribe("ann@example.com");
  const link = await rig.linkTo("ann@example.com");
  const page = await phonePage(await startBrowser(t), "en-GB");
  const requests: string[] = [];
  page.on("request", (request) => requests.push(`${request.method()} ${request.url()}`));
  const refused: string[] = [];
  page.on("console", (message) => refused.push(message.text()));

  await page.goto(link);
  assert.equal(await page.title(), "Confirm your subscription");
  assert.match(await page.innerText("main"), /News\n.*Confirm your subscription\n.*“weekly-news”.*a…@example\.com/s);
  await assertFits(page);
  await picture(page, "confirm-phone");
  assert.deepEqual(await recipientsOf(rig), []);

  await page.getByRole("button", { name: "Yes, subscribe", exact: true }).click();
  await page.getByRole("heading", { name: "You are subscribed" }).waitFor();
  assert.equal(page.url(), link);
  assert.equal(await page.getByRole("button").count(), 0);
  await assertFits(page);
  await picture(page, "confirmed-phone");
  assert.equal((await recipientsOf(rig)).length, 1);
  assert.deepEqual(await page.context().cookies(), []);
  assert.deepEqual(refused, [], "the page asks for something that its own rules forbid");
  assert.deepEqual(
    requests.filter((request) => !request.endsWith("/favicon.ico")),
    [`GET ${link}`, `POST ${link}`],
  );
});

test("the page is in the language that was asked for, from right to left where that is so, behind a path", async (t) => {
  if (!needs(t, "chromium")) return;
  const rig = await startSubscriptions(t);
  await rig.subscribe("ann@example.com", { language: "ar-EG" });
  await rig.subscribe("bob@example.com");
  const page = await phonePage(await startBrowser(t), "de-AT");
  await page.goto((await rig.linkTo("ann@example.com")).replace("/confirm/", "/post/confirm/"));
  assert.deepEqual(await direction(page), ["ar", "rtl"]);
  await assertFits(page);
  await picture(page, "confirm-arabic");
  await page.goto(await rig.linkTo("bob@example.com"));
  assert.deepEqual(await direction(page), ["de", "ltr"]);
  await assertFits(page);
  await picture(page, "confirm-german");
});
