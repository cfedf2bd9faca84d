// A page in real Chromium as a phone shows it, without JavaScript, and what must be true of every page that people open from a
// mail. POSTLANE_TEST_SCREENSHOTS names a folder for pictures, to be looked at.

import assert from "node:assert/strict";
import path from "node:path";
import type { TestContext } from "node:test";
import { chromium, type Browser, type Page } from "playwright-core";

const PHONE = { width: 360, height: 640 };
const SCREENSHOTS = process.env["POSTLANE_TEST_SCREENSHOTS"];

export async function startBrowser(t: TestContext): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium" });
  t.after(() => browser.close());
  return browser;
}

export async function phonePage(browser: Browser, locale: string): Promise<Page> {
  const options = { viewport: PHONE, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
  return await (await browser.newContext({ ...options, locale, javaScriptEnabled: false })).newPage();
}

export async function direction(page: Page): Promise<readonly (string | null)[]> {
  const html = page.locator("html");
  return [await html.getAttribute("lang"), await html.getAttribute("dir")];
}

/** Nothing is wider than the phone, and the buttons are large enough for a finger. */
export async function assertFits(page: Page): Promise<void> {
  const main = (await page.locator("main").boundingBox())!;
  assert.ok(main.x >= 0 && main.x + main.width <= PHONE.width, `it is ${main.width} wide at ${main.x}`);
  for (const button of await page.getByRole("button").all()) {
    const { x, width, height } = (await button.boundingBox())!;
    assert.ok(height >= 44 && x >= 0 && x + width <= PHONE.width, `a button of ${width} × ${height}`);
  }
}

export async function picture(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS !== undefined) await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) });
}

/** The page's headers forbid all that it does not need. */
export function assertLockedDown(answer: Response): void {
  const headers = Object.fromEntries(answer.headers);
  assert.match(
    headers["content-security-policy"] ?? "",
    /^default-src 'none'; style-src 'sha256-[\w+/=]+'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
  );
  const told = ["cache-control", "referrer-policy", "x-content-type-options", "x-robots-tag"].map(
    (name) => headers[name],
  );
  assert.deepEqual(told, ["no-store", "no-referrer", "nosniff", "noindex, nofollow"]);
}
