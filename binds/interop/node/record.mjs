// The diary of an SMSC: one JSON object per line, each written (synchronously)
// before the PDU that it tells of is answered. A process that was killed has
// therefore recorded all that a client can have seen it accept, and the next
// one knows from it what it still owes.

import { openSync, readFileSync, writeSync } from 'node:fs';

export class Record {
  constructor(path, resume) {
    this.before = resume ? readFileSync(path, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line)) : [];
    this.run = this.before.filter((line) => line.ev === 'start').length + 1;
    this.fd = path ? openSync(path, resume ? 'a' : 'w') : null;
    this.write('start', {});
  }

  write(ev, fields) {
    if (this.fd !== null) writeSync(this.fd, JSON.stringify({ ev, run: this.run, ...fields }) + '\n');
  }

  // watch records every PDU of a session.
  watch(session, number) {
    const write = (dir, pdu, seq) => this.write('pdu', { dir, session: number, command: pdu.command, seq, status: pdu.command_status });
    session.on('pdu', (pdu) => write('in', pdu, pdu.sequence_number));
    const send = session.send;
    session.send = function (pdu, ...callbacks) {
      // node-smpp numbers requests as it sends them, one after the other.
      if (this.socket.writable) write('out', pdu, pdu.isResponse() ? pdu.sequence_number : this.sequence + 1);
      return send.call(this, pdu, ...callbacks);
    };
  }

  // owed returns the accepted submits of earlier runs whose receipt nobody took.
  owed() {
    const taken = new Set(this.before.filter((l) => l.ev === 'deliver_resp' && l.kind === 'receipt' && l.status === 0).map((l) => l.id));
    return this.before.filter((l) => l.ev === 'submit' && l.status === 0 && l.registered_delivery & 1 && !taken.has(l.message_id));
  }
}
