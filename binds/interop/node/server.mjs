// An SMSC on npm's smpp package (https://github.com/farhadi/node-smpp), which
// this project did not write: it frames, parses and decodes, so what it makes
// of our PDUs is a third party's opinion.
//
//   node server.mjs --port 0 --system-id acme --password secret --record FILE
//
// It prints "listening on 127.0.0.1:PORT" when it is ready and ends on SIGTERM.
// The record is one JSON object per line: start, bind, submit (message text as
// node-smpp decoded it, UDH in hexadecimal), message (parts joined),
// deliver_resp, enquire_link, unbind, close, error, tls_error, and pdu for each
// PDU in either direction.
//
// With --resume it adds to the record of one that was killed, and sends the
// receipts which that one still owed.
//
// Endings of the destination that do something:
//   900404  ESME_RINVDSTADR
//   900458  ESME_RTHROTTLED for the first two submits to that number, per source address
//   900501  receipt UNDELIV instead of DELIVRD
//   900502  receipt in TLVs, without a text
//   900503  receipt with the id in hexadecimal as a TLV, in decimal in its text
//   900504  receipt as data_sm
//   900777  a long message comes back from the number, in three parts with an 8-bit reference
//   900778  the same in UCS-2, in four parts with a 16-bit reference
//   900779  the same in a message_payload, 900780 in UCS-2

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import smpp from 'smpp';
import { Assembly, partOf, textOf, udhOf } from './assembly.mjs';
import { Delivery } from './delivery.mjs';
import { Record } from './record.mjs';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'system-id': { type: 'string', default: 'acme' },
    password: { type: 'string', default: 'secret' },
    record: { type: 'string' },
    resume: { type: 'boolean', default: false },
    'tls-cert': { type: 'string' }, // PEM files
    'tls-key': { type: 'string' },
    'tls-client-ca': { type: 'string' }, // clients must have a certificate of it
    'receipt-delay': { type: 'string', default: '20' }, // milliseconds
    'retry-delay': { type: 'string', default: '200' }, // milliseconds
    latency: { type: 'string', default: '0' }, // milliseconds before a submit is answered
    'throttle-every': { type: 'string', default: '0' }, // this submit, twice as late, ... get ESME_RTHROTTLED
    'unbind-after': { type: 'string', default: '0' }, // submits; then every session gets unbind, once
    'enquire-link': { type: 'string', default: '0' }, // milliseconds between them
  },
});
const number = (option) => Number(options[option]);

const record = new Record(options.record, options.resume);
const secure = options['tls-cert'] && {
  cert: readFileSync(options['tls-cert']),
  key: readFileSync(options['tls-key']),
  ...(options['tls-client-ca'] && { ca: readFileSync(options['tls-client-ca']), requestCert: true, rejectUnauthorized: true }),
};
const server = smpp.createServer(secure || {}, onSession);
const delivery = new Delivery(server.sessions, record, { receipt: number('receipt-delay'), retry: number('retry-delay') });
const assembly = new Assembly(record);

let lastID = Date.now() * 1000;
let sessions = 0;
let submits = 0;
const throttled = new Map(); // source and destination to how often

function onSession(session) {
  const id = ++sessions;
  record.watch(session, id);
  session.on('error', (err) => {
    record.write('error', { session: id, message: err.message });
    session.destroy();
  });
  session.on('close', () => record.write('close', { session: id }));
  for (const bind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(bind, (pdu) => onBind(session, pdu));
  }
  session.on('submit_sm', (pdu) => onSubmit(session, pdu));
  session.on('data_sm', (pdu) => onSubmit(session, pdu));
  session.on('enquire_link', (pdu) => {
    record.write('enquire_link', {});
    session.send(pdu.response());
  });
  session.on('unbind', (pdu) => {
    record.write('unbind', {});
    session.bound = false;
    session.send(pdu.response(), () => session.close());
  });
  session.on('unbind_resp', () => session.close());
  session.on('unknown', (pdu) => session.send(pdu.response()));
}

function onBind(session, pdu) {
  let status = smpp.ESME_ROK;
  if (session.bound) status = smpp.ESME_RALYBND;
  else if (pdu.system_id !== options['system-id']) status = smpp.ESME_RINVSYSID;
  else if (pdu.password !== options.password) status = smpp.ESME_RINVPASWD;
  record.write('bind', {
    command: pdu.command, system_id: pdu.system_id, system_type: pdu.system_type,
    interface_version: pdu.interface_version, status,
  });
  session.bound = status === smpp.ESME_ROK;
  session.kind = pdu.command;
  session.send(pdu.response(status ? { command_status: status } : { system_id: 'node-smpp' }));
  if (session.bound && number('enquire-link')) {
    const timer = setInterval(() => session.enquire_link(), number('enquire-link'));
    session.on('close', () => clearInterval(timer));
  }
}

// verdict is the status that a submit gets.
function verdict(session, pdu) {
  const to = pdu.destination_addr;
  if (!session.bound || session.kind === 'bind_receiver') return smpp.ESME_RINVBNDSTS;
  if (to.endsWith('900404')) return smpp.ESME_RINVDSTADR;
  if (to.endsWith('900458')) {
    const key = `${pdu.source_addr} ${to}`;
    const before = throttled.get(key) ?? 0;
    throttled.set(key, before + 1);
    if (before < 2) return smpp.ESME_RTHROTTLED;
  }
  if (submits % number('throttle-every') === 0) return smpp.ESME_RTHROTTLED;
  return smpp.ESME_ROK;
}

function onSubmit(session, pdu) {
  submits++;
  const status = verdict(session, pdu);
  const udh = udhOf(pdu);
  const part = partOf(pdu, udh);
  const line = {
    command: pdu.command, seq: pdu.sequence_number, from: pdu.source_addr, from_ton: pdu.source_addr_ton, from_npi: pdu.source_addr_npi,
    to: pdu.destination_addr, to_ton: pdu.dest_addr_ton, to_npi: pdu.dest_addr_npi, esm_class: pdu.esm_class, data_coding: pdu.data_coding,
    registered_delivery: pdu.registered_delivery, validity_period: String(pdu.validity_period ?? ''),
    udh: udh.toString('hex'), part: part.number, text: textOf(pdu), status, message_id: status ? '' : (++lastID).toString(16), at: Date.now(),
  };
  record.write('submit', line);
  const answer = () => {
    session.send(pdu.response(status ? { command_status: status } : { message_id: line.message_id }));
    if (status) return;
    assembly.add(pdu, line.text, part);
    if (line.registered_delivery & 1) delivery.receipt(line);
    delivery.answer(line);
  };
  if (number('latency')) setTimeout(answer, number('latency'));
  else answer();
  if (submits === number('unbind-after')) for (const s of server.sessions) if (s.bound) s.unbind();
}

server.on('tlsClientError', (err) => record.write('tls_error', { message: err.message }));
server.listen(number('port'), '127.0.0.1', () => {
  for (const submit of record.owed()) delivery.receipt(submit);
  process.stdout.write(`listening on 127.0.0.1:${server.address().port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
