// Drives the status page in Chromium: node page.mjs URL DIRECTORY CHROMIUM.
// Screenshots go to the directory. It ends with 0 when everything holds; what
// does not is on standard error, a line each. The route is acme, its worker w1,
// there is another, and jobs are on their way.
import { chromium } from 'playwright-core';
import { join } from 'node:path';

const [url, dir, executablePath] = process.argv.slice(2);
const faults = [];
const check = (ok, what) => { if (!ok) faults.push(what); };

setTimeout(() => { console.error('not done after five minutes'); process.exit(1); }, 300_000).unref();
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

async function open(options) {
  const page = await (await browser.newContext(options)).newPage();
  page.setDefaultTimeout(30_000);
  page.on('console', m => { if (['error', 'warning'].includes(m.type())) faults.push(`console: ${m.text()}`); });
  page.on('pageerror', e => faults.push(`page: ${e.message}`));
  page.on('request', r => check(r.url().startsWith(url) || r.url().startsWith('data:'), `asks another server: ${r.url()}`));
  await page.goto(url);
  await page.getByText('live', { exact: true }).waitFor();
  await page.getByRole('heading', { name: 'Route acme' }).waitFor();
  return page;
}

const shot = (page, name) => page.screenshot({ path: join(dir, name + '.png'), fullPage: true });
const acme = page => page.getByRole('region', { name: 'Route acme', exact: true });
const fits = page => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

// until waits for what the page comes to show.
async function until(what, condition) {
  for (const end = Date.now() + 30_000; !(await condition());) {
    if (Date.now() > end) { faults.push(`still waiting until ${what}`); return; }
    await new Promise(r => setTimeout(r, 50));
  }
}

async function step(what, act) {
  try { await act(); } catch (err) { faults.push(`${what}: ${err.message.split('\n').slice(0, 4).join(' ')}`); }
}

const page = await open({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });

await step('updates', async () => {
  const jobs = () => page.getByRole('row', { name: /^submitted/ }).getByRole('cell').first().innerText();
  const before = await jobs();
  await until('the count of jobs has changed', async () => await jobs() !== before);
  await until('two workers are shown', async () => await page.getByRole('rowheader', { name: /^w[12]$/ }).count() >= 2);
  await until('the backlog is known', async () => /^\d/.test(await page.getByRole('row', { name: /^bulk/ }).getByRole('cell').first().innerText()));
  await until('latency is drawn', async () => (await page.locator('.tile path.p50').first().getAttribute('d') || '').split('L').length > 3);
  await until('its limit is told, with numbers', async () => /Limited by its rate\..*At w[12]: this worker sends [\d.]+\/s/s.test(await acme(page).innerText()));
  await until('an error with its meaning', async () => (await page.getByRole('region', { name: 'Recent errors' }).innerText()).includes('destination is wrong'));
  await shot(page, 'light');
});

await step('no number and no text is shown', async () => {
  const all = await page.evaluate(() => document.body.innerText);
  check(!/4477009\d{5}/.test(all), 'a number is shown');
  check(!all.includes('private words'), 'a text is shown');
});

await step('fit for assistive technology', async () => {
  const bare = await page.evaluate(() => {
    const named = e => (e.getAttribute('aria-label') || e.textContent || '').trim() || (e.labels && e.labels.length);
    const out = [];
    for (const e of document.querySelectorAll('button, input, select')) if (!named(e)) out.push(e.outerHTML);
    for (const t of document.querySelectorAll('table')) if (!t.caption || !t.querySelector('th[scope=col]') || t.tBodies[0].rows.length && !t.querySelector('th[scope=row]')) out.push(t.outerHTML.slice(0, 80));
    for (const e of document.querySelectorAll('.scroll')) if (e.tabIndex !== 0 || !e.getAttribute('aria-label')) out.push(e.outerHTML.slice(0, 80));
    if (document.querySelectorAll('h1').length !== 1 || !document.querySelector('main') || !document.documentElement.lang) out.push('landmarks');
    return out;
  });
  check(bare.length === 0, `without a name: ${bare.join(' | ')}`);
  check(await page.locator('[role=status][aria-live=polite]').count() === 1, 'no live region');
  // By keyboard alone: to a button, its focus seen, and kept while the page is updated.
  await page.getByRole('combobox', { name: 'Show' }).focus();
  for (let i = 0; i < 30 && !(await page.evaluate(() => document.activeElement.textContent === 'Pause route')); i++) await page.keyboard.press('Tab');
  check(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== 'none'), 'focus cannot be seen');
  const stamp = await page.evaluate(() => document.querySelector('#workers tbody').innerText);
  await until('the page has been updated', async () => await page.evaluate(() => document.querySelector('#workers tbody').innerText) !== stamp);
  check(await page.evaluate(() => document.activeElement.textContent === 'Pause route'), 'focus is lost by an update');
});

await step('pause and resume', async () => {
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Pause route acme?' });
  await dialog.waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  check(!(await acme(page).innerText()).includes('Paused by an operator.'), 'it is paused without confirmation');
  await acme(page).getByRole('button', { name: 'Pause lane bulk of acme' }).click();
  const lane = page.getByRole('dialog', { name: 'Pause lane bulk of route acme?' });
  await lane.getByLabel('For how long').selectOption('1h');
  await lane.getByLabel('Reason').fill('<b>night</b>');
  await lane.getByLabel('Your name').fill('ada');
  await shot(page, 'dialog');
  await lane.getByRole('button', { name: 'Pause' }).click();
  await lane.waitFor({ state: 'hidden' });
  await acme(page).getByRole('button', { name: 'Resume lane bulk of acme' }).waitFor();
  const pauses = page.getByRole('table', { name: 'Pauses of acme' });
  check((await pauses.innerText()).includes('<b>night</b>'), 'the reason is not shown as it is');
  await acme(page).getByRole('button', { name: 'Pause route acme' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await acme(page).getByRole('button', { name: 'Resume route acme' }).waitFor();
  await until('the limit is the pause', async () => (await acme(page).innerText()).includes('Paused by an operator.'));
  await until('it is said aloud', async () => (await page.getByRole('status').innerText()).includes('acme'));
  await shot(page, 'paused');
  await acme(page).getByRole('button', { name: 'Resume route acme' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
  await until('it goes on', async () => !(await acme(page).innerText()).includes('Paused by an operator.'));
});

await step('trace', async () => {
  await acme(page).getByRole('button', { name: 'Trace route acme' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Start' }).click();
  const log = page.getByRole('log', { name: 'Trace of acme' });
  await until('PDUs are shown', async () => (await log.innerText()).includes('submit_sm'));
  const lines = await log.innerText();
  check(!/4477009\d{5}/.test(lines) && !lines.includes('private'), 'the trace shows numbers or text');
  await shot(page, 'trace');
  await acme(page).getByRole('button', { name: 'Stop trace of route acme' }).click();
  await acme(page).getByRole('button', { name: 'Trace route acme' }).waitFor();
});

await step('one worker alone', async () => {
  await page.getByRole('combobox', { name: 'Show' }).selectOption('w1');
  await until('its binds alone are shown', async () => {
    const of = await page.getByRole('table', { name: 'Binds of acme' }).locator('tbody tr td:nth-child(2)').allInnerTexts();
    return of.length > 0 && of.every(w => w === 'w1');
  });
});

await step('nothing is asked while nobody looks', async () => {
  let asked = 0;
  page.on('request', () => asked++);
  await page.evaluate(() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true }); document.dispatchEvent(new Event('visibilitychange')); });
  await new Promise(r => setTimeout(r, 1500)); // what was under way
  asked = 0;
  await new Promise(r => setTimeout(r, 2500));
  check(asked === 0, `${asked} requests while hidden`);
  await page.evaluate(() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); });
  await until('it asks again', async () => asked > 0);
});

await step('a token is asked for where one is needed', async () => {
  const guarded = await open({ viewport: { width: 1280, height: 900 } });
  guarded.removeAllListeners('console'); // 401 is logged by the browser
  await guarded.route('**/status', (route, request) => request.headers().authorization === 'Bearer s3cret' ? route.continue() : route.fulfill({ status: 401, body: 'a token is needed' }));
  const dialog = guarded.getByRole('dialog', { name: 'Token' });
  await dialog.getByLabel('Token').fill('s3cret');
  await dialog.getByRole('button', { name: 'Use it' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await until('it is live', async () => await guarded.locator('#live').innerText() === 'live');
  await guarded.close();
});

await step('dark', async () => {
  const dark = await open({ viewport: { width: 1280, height: 900 }, colorScheme: 'dark' });
  const [r, g, b] = (await dark.evaluate(() => getComputedStyle(document.body).backgroundColor)).match(/\d+/g).map(Number);
  check(r + g + b < 200, 'it is bright in the dark');
  await until('latency is drawn', async () => (await dark.locator('.tile path.p50').first().getAttribute('d') || '').split('L').length > 3);
  await shot(dark, 'dark');
  await dark.close();
});

await step('phone', async () => {
  const phone = await open({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2, colorScheme: 'light' });
  await until('the backlog is known', async () => /^\d/.test(await phone.getByRole('row', { name: /^bulk/ }).getByRole('cell').first().innerText()));
  check(await fits(phone), 'it is wider than a phone');
  await shot(phone, 'phone');
  await phone.screenshot({ path: join(dir, 'phone-top.png') });
  await phone.close();
});

await step('many routes with long names', async () => {
  const long = i => `a_name_as_long_as_one_may_ever_${i}`.slice(0, 32);
  for (const [name, options] of [['many', { viewport: { width: 1280, height: 900 } }], ['many-phone', { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, colorScheme: 'dark' }]]) {
    const many = await open(options);
    await many.route(/\/(status|fleet)$/, async route => {
      const told = await (await route.fetch()).json();
      for (const w of told.workers || [told]) {
        w.worker = `shortwire-6d5c9f7b8d-${w.worker}`;
        const [one] = w.routes;
        w.routes = [one, ...Array.from({ length: 9 }, (_, i) => ({ ...one, name: long(i), limit: ['window', 'no_bind', 'rate'][i % 3],
          binds: Array.from({ length: 30 }, (_, j) => ({ ...one.binds[0], name: `${long(i)}/${j + 1}/tx`, endpoint: 'smsc-2.far-away.operator.example.com:2775', state: j % 3 ? 'bound' : 'refused', last_error: j % 3 ? '' : 'bind_transceiver: ESME_RINVPASWD (0x0000000E)' })) }))];
      }
      await route.fulfill({ json: told });
    });
    const all = many.getByRole('table', { name: 'State of each route' });
    await until('all routes are listed', async () => await all.getByRole('rowheader').count() === 10);
    await until('workers tell how many are limited by what', async () => /\d routes: window/.test(await many.locator('#workers').innerText()));
    await all.getByRole('link', { name: long(8) }).click();
    await until('a link leads to its route', () => many.evaluate(id => { const r = document.getElementById(id).getBoundingClientRect(); return r.top >= -1 && r.bottom <= innerHeight; }, 'route-' + long(8)));
    check(await fits(many), `it is too wide for ${name}`);
    if (!options.isMobile) check(await many.getByRole('region', { name: `Binds of ${long(8)}` }).evaluate(e => e.scrollWidth <= e.clientWidth), 'the errors of binds are out of sight');
    await many.evaluate(() => scrollTo(0, 0)); // all of it is too large a picture
    await many.screenshot({ path: join(dir, name + '.png') });
    await many.close();
  }
});

await browser.close();
for (const f of faults) console.error(f);
process.exitCode = faults.length ? 1 : 0;
