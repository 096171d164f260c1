// Uses the status page from another machine: node token.mjs URL DIRECTORY CHROMIUM
// READ-TOKEN TOKEN. Screenshots go to the directory. It ends with 0 when
// everything holds; what does not is on standard error, a line each.
import { chromium } from 'playwright-core';
import { join } from 'node:path';

const [url, dir, executablePath, reader, writer] = process.argv.slice(2);
const faults = [];
const check = (ok, what) => { if (!ok) faults.push(what); };

setTimeout(() => { console.error('not done after five minutes'); process.exit(1); }, 300_000).unref();
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const page = await (await browser.newContext({ viewport: { width: 1000, height: 800 } })).newPage();
page.setDefaultTimeout(30_000);
page.on('pageerror', e => faults.push(`page: ${e.message}`));
page.on('request', r => check(!r.url().includes(reader) && !r.url().includes(writer), `a token stands in ${r.url()}`));

try {
  await page.goto(url);
  const dialog = page.getByRole('dialog');
  const token = page.getByLabel('Token of this worker');
  await token.waitFor();
  await page.screenshot({ path: join(dir, 'token.png') });
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  await page.getByText('refused', { exact: true }).waitFor();
  await new Promise(r => setTimeout(r, 2500)); // two polls
  check(!await dialog.isVisible(), 'it asks again although nobody wants to say');
  await page.getByRole('button', { name: 'Enter the token' }).click();
  await token.fill('a-token-that-is-wrong');
  await page.keyboard.press('Enter');
  await dialog.getByRole('alert').getByText('token').waitFor();
  await token.fill(reader);
  await dialog.getByRole('button', { name: 'Use it' }).click();
  await page.getByText('live', { exact: true }).waitFor();
  await page.getByRole('heading', { name: 'Route acme' }).waitFor();
  check(!await page.getByRole('button', { name: 'Enter the token' }).isVisible(), 'it offers to take a token that it has');

  // The read token does not pause; the dialog that tried to asks for the other.
  await page.getByRole('button', { name: 'Pause route acme' }).click();
  await dialog.getByLabel('Your name').fill('ada');
  await dialog.getByRole('button', { name: 'Pause' }).click();
  await dialog.getByRole('alert').getByText('good for reading only').waitFor();
  await page.screenshot({ path: join(dir, 'token-pause.png') });
  await token.fill(writer);
  await dialog.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Resume route acme' }).waitFor();
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage }) + JSON.stringify({ ...sessionStorage }) + document.cookie + location.href);
  check(!kept.includes(reader) && !kept.includes(writer), 'a token is kept');
  await page.reload();
  await token.waitFor();
} catch (err) {
  faults.push(err.message.split('\n').slice(0, 6).join(' '));
}
await browser.close();
for (const f of faults) console.error(f);
process.exit(faults.length ? 1 : 0);
