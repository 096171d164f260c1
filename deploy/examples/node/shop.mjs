// An example of a producer: publishes one job and reads its results until its
// final receipt.
//
//   npm ci && node shop.mjs nats://127.0.0.1:4222 acme order-1042 +447700900123 "Your parcel is on its way."

import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { TimeoutError, connect, headers } from '@nats-io/transport-node';

const [url, route, id, to, text] = process.argv.slice(2);
const producer = 'shop';
if (!text) {
  console.error('usage: node shop.mjs URL ROUTE ID NUMBER TEXT');
  process.exit(2);
}

const nc = await connect({ servers: url, maxReconnectAttempts: -1, name: 'shortwire example' });

// publish returns once the job is stored. What was not answered is sent again
// under the same id, so that it is sent once.
async function publish(job) {
  const h = headers();
  h.set('Nats-Msg-Id', job.id);
  for (let tries = 1; ; tries++) {
    try {
      const ack = await jetstream(nc).publish(`sms.jobs.${route}.normal.${producer}`, JSON.stringify(job), { headers: h, timeout: 5000 });
      console.log('stored', job.id, ack.duplicate);
      return;
    } catch (err) {
      // Else the server said no: the stream is full (10077), or there is none for the route.
      if (!(err instanceof TimeoutError) || tries === 5) throw err;
    }
  }
}

// results reads through a durable consumer and acks each result after it is
// dealt with: what was read before a crash comes again. Drop repeats by id.
async function results() {
  const jsm = await jetstreamManager(nc);
  await jsm.consumers.add('SMS_RESULTS', {
    durable_name: `${producer}-example`,
    filter_subject: `sms.results.${producer}.>`,
    ack_policy: AckPolicy.Explicit,
  });
  const consumer = await jetstream(nc).consumers.get('SMS_RESULTS', `${producer}-example`);
  const seen = new Set();
  const job = new Job();
  for await (const message of await consumer.consume()) {
    const result = message.json();
    if (!seen.has(result.id)) {
      seen.add(result.id);
      console.log(result.kind, result.job_id, result.state ?? result.code ?? '');
    }
    message.ack();
    if (result.job_id === id && job.add(result)) return;
  }
}

// Job is what is known of one. A receipt may come before the outcome.
class Job {
  constructor() {
    this.outcome = null;
    this.final = new Set(); // numbers of the parts with a final receipt
  }

  // add takes a result in and tells whether it was the last.
  add(result) {
    if (result.kind !== 'receipt') this.outcome = result;
    else if (result.final) this.final.add(result.part);
    if (this.outcome === null) return false;
    return this.outcome.kind !== 'submitted' || this.final.size >= this.outcome.parts.length;
  }
}

try {
  await publish({ id, to, text });
  await results();
} finally {
  await nc.drain();
}
