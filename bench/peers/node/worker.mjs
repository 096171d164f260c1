// The benchmark's job as a Node.js worker: it takes jobs from JetStream, claims
// each in Redis, submits it over SMPP, records the message id, publishes the outcome
// and the receipt, and acks the job once its outcome is stored and the receipt
// once its result is. All of it is in flight together: as many jobs as the
// windows of all binds hold.
//
//   SMPP_PASSWORD=secret node worker.mjs --nats nats://127.0.0.1:4222 \
//     --redis 127.0.0.1:6379 --smsc 127.0.0.1:2775 --system-id bench --binds 4 --window 1000
//
// One process, as Node.js runs by default. It does not reconnect: any fault ends
// it with code 1. SIGTERM finishes what is in flight and ends it with code 0.

import { parseArgs } from 'node:util';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Binds, encode } from './binds.mjs';
import { Results, parseReceipt } from './results.mjs';
import { Store } from './store.mjs';

const { values: options } = parseArgs({
  options: {
    nats: { type: 'string', default: 'nats://127.0.0.1:4222' },
    redis: { type: 'string', default: '127.0.0.1:6379' },
    smsc: { type: 'string', default: '127.0.0.1:2775' },
    'system-id': { type: 'string', default: 'bench' },
    binds: { type: 'string', default: '4' },
    window: { type: 'string', default: '1000' },
    route: { type: 'string', default: 'bench' },
    source: { type: 'string', default: 'Bench' },
  },
});

function fault(err) {
  console.error(`worker: ${err.stack ?? err}`);
  process.exit(1);
}

// Slots are the windows of all binds: a job has one from its arrival to its submit_sm_resp.
class Slots {
  constructor(free) {
    this.free = free;
    this.wake = null;
  }

  async take() {
    while (this.free === 0) {
      await new Promise((resolve) => {
        this.wake = resolve;
      });
    }
    this.free--;
  }

  give() {
    this.free++;
    if (this.wake === null) return;
    this.wake();
    this.wake = null;
  }
}

class Worker {
  async start() {
    const [host, port] = options.smsc.split(':');
    const [binds, window] = [Number(options.binds), Number(options.window)];
    this.slots = new Slots(binds * window);
    this.busy = 0; // jobs and receipts that are not answered
    this.nc = await connect({ servers: options.nats, reconnect: false, noAsyncTraces: true });
    this.nc.closed().then((err) => err && fault(err));
    this.results = new Results(this.nc, 'sms', options.route);
    this.store = await Store.connect(`redis://${options.redis}`, options.route, fault);
    this.binds = await Binds.connect(
      { host, port: Number(port), systemID: options['system-id'], password: process.env.SMPP_PASSWORD, binds, window },
      (bind, pdu) => this.track(this.receipt(bind, pdu)),
      fault,
    );
  }

  // consumer is the one that setup made for workers of the lane normal, or one of
  // its own where there is none: a work queue has one per subject.
  async consumer() {
    const stream = `SMS_JOBS_${options.route.toUpperCase()}`;
    const lane = `sms.jobs.${options.route}.normal.*`;
    const jsm = await jetstreamManager(this.nc);
    for await (const { name, config } of jsm.consumers.list(stream)) {
      const filters = config.filter_subjects ?? [config.filter_subject];
      if (filters.length === 1 && filters[0] === lane) return jetstream(this.nc).consumers.get(stream, name);
    }
    const { name } = await jsm.consumers.add(stream, {
      durable_name: 'node',
      ack_policy: 'explicit',
      ack_wait: 90e9, // nanoseconds
      max_ack_pending: 20_000,
      filter_subject: lane,
    });
    return jetstream(this.nc).consumers.get(stream, name);
  }

  async run() {
    this.jobs = await (await this.consumer()).consume({ max_messages: 1000, expires: 5000, idle_heartbeat: 500 });
    console.log(`process ${process.pid} consumes`);
    for await (const message of this.jobs) {
      await this.slots.take();
      this.track(this.job(message));
    }
  }

  // track counts what is in flight.
  async track(work) {
    this.busy++;
    try {
      await work;
    } catch (err) {
      fault(err);
    }
    if (--this.busy === 0) this.idle?.();
  }

  async job(message) {
    const job = message.json();
    const producer = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    if (!(await this.store.claim(producer, job.id))) {
      this.slots.give();
      message.ack(); // it has been begun before
      return;
    }
    const bind = this.binds.pick();
    const written = performance.now();
    const resp = await bind.submit({
      source_addr_ton: 5,
      source_addr: options.source,
      dest_addr_ton: 1,
      dest_addr_npi: 1,
      destination_addr: job.to,
      registered_delivery: 1,
      data_coding: 0,
      short_message: encode(job.text),
    });
    this.slots.give();
    if (resp.command_status !== 0) {
      await this.results.refused(producer, job.id, resp.command_status);
      message.ack();
      return;
    }
    const latency = performance.now() - written;
    const early = await this.store.record(producer, job.id, resp.message_id);
    await Promise.all([
      this.results.submitted(producer, job.id, bind.name, resp.message_id, latency),
      early === null ? null : this.results.receipt(producer, job.id, parseReceipt(early)),
    ]);
    message.ack();
  }

  async receipt(bind, pdu) {
    await null; // behind the submit_sm_resp of the same read, whose job goes on in a microtask
    const raw = pdu.short_message.message;
    const receipt = parseReceipt(raw);
    if (receipt === null) throw new Error('a deliver_sm that is not a receipt');
    const owner = await this.owner(receipt);
    if (owner !== null) await this.results.receipt(owner.producer, owner.job, receipt);
    bind.answer(pdu);
  }

  // owner is the job of a receipt. A receipt can come over another bind before its
  // job is recorded: then it is parked, and the second of the two that looks has
  // it. null leaves it to job.
  async owner(receipt) {
    const owner = await this.store.resolve(receipt.id);
    if (owner !== null) return owner;
    await this.store.park(receipt.id, receipt.raw);
    const late = await this.store.resolve(receipt.id);
    if (late === null || (await this.store.unpark(receipt.id)) === null) return null;
    return late;
  }

  async stop() {
    await this.jobs?.close();
    await this.consuming;
    if (this.busy > 0) {
      await new Promise((resolve) => {
        this.idle = resolve;
      });
    }
    await this.binds.close();
    await this.store.close();
    await this.nc.drain();
  }
}

const worker = new Worker();
process.once('SIGTERM', () => worker.stop().then(() => process.exit(0), fault));
worker
  .start()
  .then(() => (worker.consuming = worker.run()))
  .catch(fault);
