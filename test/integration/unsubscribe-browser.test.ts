// The page to unsubscribe in real Chromium, as a phone shows it and without JavaScript: a person presses the button, and
// the database has it. POSTLANE_TEST_SCREENSHOTS names a folder for pictures of it, to be looked at.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertFits, direction, phonePage, picture, startBrowser } from "../rig/phone.ts";
import { needs } from "../rig/needs.ts";
import { newsletter, suppressionsIn } from "../rig/unsubscribe.ts";
import { startHttp } from "./http-rig.ts";

test("a person on a phone, without JavaScript, reads the page, presses the button, and is unsubscribed", async (t) => {
  if (!needs(t, "chromium")) return;
  const rig = await startHttp(t, { POSTLANE_PUBLIC_URL: "https://mail.example.com" });
  const { id, token } = await newsletter(rig.pool);
  const browser = await startBrowser(t);
  const page = await phonePage(browser, "en-GB");
  const requests: string[] = [];
  page.on("request", (request) => requests.push(`${request.method()} ${new URL(request.url()).pathname}`));
  const refused: string[] = [];
  page.on("console", (message) => refused.push(message.text()));

  await page.goto(`${rig.url}/u/${token}`);
  assert.equal(await page.title(), "Unsubscribe");
  assert.match(await page.innerText("main"), /News\n.*Unsubscribe\n.*“weekly-news”/s);
  await assertFits(page);
  await picture(page, "ask-phone");
  assert.deepEqual(await suppressionsIn(rig.pool), []);

  await page.getByRole("button", { name: "Unsubscribe", exact: true }).click();
  await page.getByRole("heading", { name: "You are unsubscribed" }).waitFor();
  assert.equal(page.url(), `${rig.url}/u/${token}`);
  await assertFits(page);
  await picture(page, "done-phone");
  const ofList = { address: "ann@example.com", scope: "list", list: "weekly-news" };
  const why = { reason: "unsubscribe", source: `msg_${id}` };
  assert.deepEqual(await suppressionsIn(rig.pool), [{ ...ofList, ...why }]);

  await page.getByRole("button", { name: "Unsubscribe from all newsletters" }).click();
  await page.getByText("You will get no more newsletters from us.").waitFor();
  assert.equal(await page.getByRole("button").count(), 0);
  const ofAll = { address: "ann@example.com", scope: "bulk", list: "" };
  assert.deepEqual(await suppressionsIn(rig.pool), [
    { ...ofList, ...why },
    { ...ofAll, ...why },
  ]);
  assert.deepEqual(await page.context().cookies(), []);
  assert.deepEqual(refused, [], "the page asks for something that its own rules forbid");
  assert.deepEqual(
    requests.filter((request) => !request.endsWith("/favicon.ico")),
    [`GET /u/${token}`, `POST /u/${token}`, `POST /u/${token}`],
  );
});

test("the page is in the language of the recipient's data, then of the browser, from left or from right", async (t) => {
  if (!needs(t, "chromium")) return;
  const rig = await startHttp(t, { POSTLANE_PUBLIC_URL: "https://mail.example.com/post" });
  const browser = await startBrowser(t);
  const ofData = await newsletter(rig.pool, { list: "noticias", data: { locale: "ar-EG" } });
  const ofBrowser = await newsletter(rig.pool, {
    list: "a-very-long-name-of-a-list-that-no-phone-has-the-width-for.2027",
  });

  const page = await phonePage(browser, "de-AT");
  await page.goto(`${rig.url}/post/u/${ofData.token}`);
  assert.deepEqual(await direction(page), ["ar", "rtl"]);
  await assertFits(page);
  await picture(page, "ask-arabic");
  await page.goto(`${rig.url}/post/u/${ofBrowser.token}`);
  assert.deepEqual(await direction(page), ["de", "ltr"]);
  await assertFits(page);
  await picture(page, "ask-german-long");
  await page.goto(`${rig.url}/post/u/${ofBrowser.token.slice(1)}`);
  await page.getByRole("heading", { name: "Dieser Link funktioniert nicht" }).waitFor();
  await picture(page, "invalid-phone");

  const desktop = await browser.newPage({
    viewport: { width: 1280, height: 800 },
    locale: "ja-JP",
    colorScheme: "dark",
  });
  await desktop.goto(`${rig.url}/u/${ofBrowser.token}`);
  assert.deepEqual(await direction(desktop), ["ja", "ltr"]);
  await picture(desktop, "ask-desktop-dark");
  const light = await browser.newPage({ viewport: { width: 1280, height: 800 }, locale: "fr-FR" });
  await light.goto(`${rig.url}/u/${ofBrowser.token}`);
  await light.getByRole("button").click();
  await light.getByRole("heading", { name: "Désabonnement effectué" }).waitFor();
  await picture(light, "done-desktop");
});
