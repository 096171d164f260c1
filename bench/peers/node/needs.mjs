// Says on standard error what is missing to run the worker, and ends with code 1 then.

import { readFileSync } from 'node:fs';

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const lock = read('package-lock.json');
const missing = [];
if (Number(process.versions.node.split('.')[0]) < 20) missing.push(`Node.js is ${process.versions.node}, not 20 or newer`);
for (const [path, { version }] of Object.entries(lock.packages)) {
  if (path === '') continue;
  try {
    const installed = read(`${path}/package.json`).version;
    if (installed !== version) missing.push(`${path} is ${installed}, not ${version}`);
  } catch {
    missing.push(`${path} is not installed`);
  }
}
if (missing.length > 0) {
  console.error(missing.length > 3 ? `${missing.length} packages are missing or of another version` : missing.join(', '));
  process.exit(1);
}
