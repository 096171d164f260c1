// The job ledger and the correlation of message ids in Redis. node-redis sends
// the commands of one turn of the event loop as one pipeline.

import { createClient } from 'redis';

const day = 24 * 3600;
const ledgerTTL = day; // seconds, like the others
const correlationTTL = 8 * day;
const finishedTTL = 3600; // of the correlation from a receipt on
const parkedTTL = 3600;

export class Store {
  static async connect(url, route, onFault) {
    const store = new Store();
    store.prefix = `sw:${route}:`;
    store.redis = createClient({ url, socket: { noDelay: true, reconnectStrategy: false }, commandOptions: { timeout: undefined } });
    store.redis.on('error', (err) => onFault(new Error(`Redis: ${err.message}`)));
    await store.redis.connect();
    return store;
  }

  ledgerKey(producer, job) {
    return `${this.prefix}j:{${producer}:${job}}`;
  }

  // claim reports whether nobody has begun the job.
  async claim(producer, job) {
    const before = await this.redis.set(this.ledgerKey(producer, job), 'begun', {
      condition: 'NX',
      GET: true,
      expiration: { type: 'EX', value: ledgerTTL },
    });
    return before === null;
  }

  // record writes the correlation and the outcome, and takes the receipt that
  // came before them, null if none has.
  async record(producer, job, messageID) {
    const [, , early] = await Promise.all([
      this.redis.set(`${this.prefix}c:{${messageID}}`, `${producer} ${job}`, { expiration: { type: 'EX', value: correlationTTL } }),
      this.redis.set(this.ledgerKey(producer, job), `submitted ${messageID}`, { expiration: { type: 'EX', value: ledgerTTL } }),
      this.redis.getDel(`${this.prefix}p:{${messageID}}`),
    ]);
    return early;
  }

  // resolve finds the job of a receipt, null if it is not recorded yet.
  async resolve(messageID) {
    const found = await this.redis.getEx(`${this.prefix}c:{${messageID}}`, { type: 'EX', value: finishedTTL });
    if (found === null) return null;
    const space = found.indexOf(' ');
    return { producer: found.slice(0, space), job: found.slice(space + 1) };
  }

  // park keeps a receipt that came before its job was recorded.
  async park(messageID, raw) {
    await this.redis.set(`${this.prefix}p:{${messageID}}`, raw, { expiration: { type: 'EX', value: parkedTTL } });
  }

  // unpark takes it back, null when record has it.
  unpark(messageID) {
    return this.redis.getDel(`${this.prefix}p:{${messageID}}`);
  }

  close() {
    return this.redis.close();
  }
}
