// An SMSC on npm's smpp package (https://github.com/farhadi/node-smpp), which
// this project did not write: it frames, parses and decodes, so what it makes
// of our PDUs is a third party's opinion.
//
//   node server.mjs --port 0 --system-id acme --password secret --record FILE
//
// It prints "listening on 127.0.0.1:PORT" when it is ready and ends on SIGTERM.
// The record is one JSON object per line: bind, submit (message text as
// node-smpp decoded it, UDH in hexadecimal), message (parts joined),
// deliver_resp, enquire_link, unbind, close, error.
//
// Endings of the destination that do something:
//   900404  ESME_RINVDSTADR
//   900458  ESME_RTHROTTLED for the first two submits to that number, per source address
//   900501  receipt UNDELIV instead of DELIVRD
//   900777  a long message comes back from the number, in three parts with UDH

import { createWriteStream, openSync } from 'node:fs';
import { parseArgs } from 'node:util';
import smpp from 'smpp';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'system-id': { type: 'string', default: 'acme' },
    password: { type: 'string', default: 'secret' },
    record: { type: 'string' },
    'receipt-delay': { type: 'string', default: '20' }, // milliseconds
    'retry-delay': { type: 'string', default: '200' }, // milliseconds
  },
});

// Opened at once, so that who reads "listening" finds the file.
const out = options.record ? createWriteStream('', { fd: openSync(options.record, 'w') }) : null;
const record = (ev, fields) => out?.write(JSON.stringify({ ev, ...fields }) + '\n');

let lastID = Date.now() * 1000;
let lastReference = 0;
const throttled = new Map(); // source and destination to how often
const parts = new Map(); // source, destination and reference to texts by number

const longText = 'Long message from the handset: ' + 'grün und € 12 [ok] '.repeat(20) + 'end.';

// textOf returns the text of a message as node-smpp decoded it.
function textOf(pdu) {
  const sm = pdu.short_message;
  const message = sm?.message?.length ? sm.message : pdu.message_payload?.message ?? pdu.message_payload ?? '';
  return Buffer.isBuffer(message) ? message.toString('latin1') : message;
}

// concatenation finds information element 0x00 or 0x08 (3GPP TS 23.040 §9.2.3.24).
function concatenation(udh) {
  if (udh.length < 2) return null;
  for (let i = 1; i + 1 < udh.length; i += 2 + udh[i + 1]) {
    const [id, length] = [udh[i], udh[i + 1]];
    if (id === 0x00 && length === 3) return { reference: udh[i + 2], total: udh[i + 3], number: udh[i + 4] };
    if (id === 0x08 && length === 4) return { reference: udh.readUInt16BE(i + 2), total: udh[i + 4], number: udh[i + 5] };
  }
  return null;
}

// rawUDH undoes node-smpp's split of the header into elements.
function rawUDH(pdu) {
  const udh = pdu.short_message?.udh;
  if (!udh) return Buffer.alloc(0);
  const elements = Buffer.isBuffer(udh) ? udh : Buffer.concat(udh);
  return Buffer.concat([Buffer.from([elements.length]), elements]);
}

function join(pdu, text, udh) {
  const c = concatenation(udh);
  if (!c) {
    record('message', { from: pdu.source_addr, to: pdu.destination_addr, parts: 1, text });
    return;
  }
  const key = `${pdu.source_addr} ${pdu.destination_addr} ${c.reference} ${c.total}`;
  const texts = parts.get(key) ?? new Map();
  parts.set(key, texts.set(c.number, text));
  if (texts.size === c.total) {
    parts.delete(key);
    const whole = Array.from({ length: c.total }, (_, i) => texts.get(i + 1)).join('');
    record('message', { from: pdu.source_addr, to: pdu.destination_addr, parts: c.total, text: whole });
  }
}

const pad = (n) => String(n).padStart(2, '0');
const appendixBDate = (d) =>
  pad(d.getUTCFullYear() % 100) + pad(d.getUTCMonth() + 1) + pad(d.getUTCDate()) + pad(d.getUTCHours()) + pad(d.getUTCMinutes());

// deliver sends a deliver_sm, and again for as long as the answer is a
// temporary error, over any session of the account.
function deliver(session, fields, about) {
  const target = session.socket.writable ? session : server.sessions.find((s) => s.bound && s.socket.writable);
  const again = () => setTimeout(() => deliver(session, fields, about), Number(options['retry-delay']));
  if (!target) {
    again();
    return;
  }
  // A copy, since node-smpp encodes the message in place.
  target.deliver_sm({ ...fields }, (resp) => {
    record('deliver_resp', { ...about, status: resp.command_status, message_id: resp.message_id ?? '' });
    if ([smpp.ESME_RX_T_APPN, smpp.ESME_RSYSERR, smpp.ESME_RMSGQFUL, smpp.ESME_RTHROTTLED].includes(resp.command_status)) again();
  });
}

function sendReceipt(session, pdu, id, text, submitted) {
  const delivered = !pdu.destination_addr.endsWith('900501');
  const receipt = [
    `id:${id} sub:001 dlvrd:${delivered ? '001' : '000'}`,
    `submit date:${appendixBDate(submitted)} done date:${appendixBDate(new Date())}`,
    `stat:${delivered ? 'DELIVRD' : 'UNDELIV'} err:${delivered ? '000' : '001'} text:${text.replace(/[^ -~]/g, '?').slice(0, 20)}`,
  ].join(' ');
  deliver(
    session,
    {
      source_addr_ton: pdu.dest_addr_ton,
      source_addr_npi: pdu.dest_addr_npi,
      source_addr: pdu.destination_addr,
      dest_addr_ton: pdu.source_addr_ton,
      dest_addr_npi: pdu.source_addr_npi,
      destination_addr: pdu.source_addr,
      esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT,
      data_coding: 0, // node-smpp would say 1 for GSM 03.38
      short_message: receipt,
    },
    { kind: 'receipt', id },
  );
}

function sendLong(session, pdu) {
  lastReference = (lastReference + 1) & 0xff;
  const perPart = Math.ceil(longText.length / 3);
  for (let number = 1; number <= 3; number++) {
    deliver(
      session,
      {
        source_addr: pdu.destination_addr,
        destination_addr: pdu.source_addr,
        esm_class: smpp.ESM_CLASS.UDH_INDICATOR,
        data_coding: 0,
        short_message: {
          udh: Buffer.from([5, 0, 3, lastReference, 3, number]),
          message: longText.slice((number - 1) * perPart, number * perPart),
        },
      },
      { kind: 'mo', number },
    );
  }
}

function onSubmit(session, pdu) {
  const text = textOf(pdu);
  const udh = rawUDH(pdu);
  const to = pdu.destination_addr;
  let status = smpp.ESME_ROK;
  if (!session.bound || session.receiver) status = smpp.ESME_RINVBNDSTS;
  else if (to.endsWith('900404')) status = smpp.ESME_RINVDSTADR;
  else if (to.endsWith('900458')) {
    const key = `${pdu.source_addr} ${to}`;
    const before = throttled.get(key) ?? 0;
    throttled.set(key, before + 1);
    if (before < 2) status = smpp.ESME_RTHROTTLED;
  }
  const id = status ? '' : (++lastID).toString(16);
  record('submit', {
    seq: pdu.sequence_number, from: pdu.source_addr, from_ton: pdu.source_addr_ton, from_npi: pdu.source_addr_npi,
    to, to_ton: pdu.dest_addr_ton, to_npi: pdu.dest_addr_npi, esm_class: pdu.esm_class, data_coding: pdu.data_coding,
    registered_delivery: pdu.registered_delivery, validity_period: String(pdu.validity_period ?? ''),
    udh: udh.toString('hex'), text, status, message_id: id,
  });
  session.send(pdu.response(status ? { command_status: status } : { message_id: id }));
  if (status) return;
  join(pdu, text, udh);
  if (pdu.registered_delivery & 1) {
    const submitted = new Date();
    setTimeout(() => sendReceipt(session, pdu, id, text, submitted), Number(options['receipt-delay']));
  }
  if (to.endsWith('900777')) sendLong(session, pdu);
}

function onBind(session, pdu) {
  let status = smpp.ESME_ROK;
  if (session.bound) status = smpp.ESME_RALYBND;
  else if (pdu.system_id !== options['system-id']) status = smpp.ESME_RINVSYSID;
  else if (pdu.password !== options.password) status = smpp.ESME_RINVPASWD;
  record('bind', {
    command: pdu.command, system_id: pdu.system_id, system_type: pdu.system_type,
    interface_version: pdu.interface_version, status,
  });
  session.bound = status === smpp.ESME_ROK;
  session.receiver = pdu.command === 'bind_receiver';
  session.send(pdu.response(status ? { command_status: status } : { system_id: 'node-smpp' }));
}

const server = smpp.createServer({}, (session) => {
  session.on('error', (err) => {
    record('error', { message: err.message });
    session.destroy();
  });
  session.on('close', () => record('close', {}));
  for (const bind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(bind, (pdu) => onBind(session, pdu));
  }
  session.on('submit_sm', (pdu) => onSubmit(session, pdu));
  session.on('enquire_link', (pdu) => {
    record('enquire_link', {});
    session.send(pdu.response());
  });
  session.on('unbind', (pdu) => {
    record('unbind', {});
    session.bound = false;
    session.send(pdu.response(), () => session.close());
  });
  session.on('unknown', (pdu) => session.send(pdu.response()));
});

server.listen(Number(options.port), '127.0.0.1', () => {
  process.stdout.write(`listening on 127.0.0.1:${server.address().port}\n`);
});

process.on('SIGTERM', () => {
  const exit = () => process.exit(0);
  if (out) out.end(exit);
  else exit();
});
