// Transceivers on npm's smpp package, each with a window.

import { once } from 'node:events';
import smpp from 'smpp';

// Receipts are ASCII, and node-smpp's Latin-1 decoder is faster than its GSM 03.38 decoder.
smpp.encodings.default = 'LATIN1';

// Texts of characters whose GSM 03.38 octet is their ASCII code need no coder.
const plain = /^[\n\r !"#%&'()*+,\-./0-9:;<=>?A-Za-z]*$/;

// encode is a text in GSM 03.38, one octet per septet.
export function encode(text) {
  return plain.test(text) ? Buffer.from(text, 'latin1') : smpp.encodings.ASCII.encode(text);
}

const boundWithin = 10_000; // milliseconds
const enquireLinkEvery = 30_000; // milliseconds

class Bind {
  // connect binds. onReceipt gets each deliver_sm and answers it with answer.
  static async connect(options, name, onReceipt, onFault) {
    const bind = new Bind();
    bind.name = name;
    bind.window = options.window;
    bind.pending = 0;
    bind.ending = false;
    const session = smpp.connect({
      host: options.host,
      port: options.port,
      auto_enquire_link_period: enquireLinkEvery,
    });
    bind.session = session;
    session.on('error', (err) => onFault(new Error(`${name}: ${err.message}`)));
    session.on('close', () => {
      if (!bind.ending) onFault(new Error(`${name}: the SMSC closed the connection`));
    });
    await once(session, 'connect', { signal: AbortSignal.timeout(boundWithin) });
    session.socket.setNoDelay(true);
    const resp = await new Promise((resolve) => {
      session.bind_transceiver({ system_id: options.systemID, password: options.password }, resolve);
    });
    if (resp.command_status !== smpp.ESME_ROK) throw new Error(`${name}: bind refused with ${resp.command_status}`);
    session.on('enquire_link', (pdu) => bind.answer(pdu));
    session.on('deliver_sm', (pdu) => onReceipt(bind, pdu));
    return bind;
  }

  // gather has everything that is sent in this turn of the event loop written
  // with one system call: node-smpp writes each PDU for itself.
  gather() {
    const socket = this.session.socket;
    if (socket.writableCorked > 0) return;
    socket.cork();
    setImmediate(() => socket.uncork());
  }

  submit(fields) {
    this.gather();
    this.pending++;
    return new Promise((resolve) => {
      this.session.submit_sm(fields, (resp) => {
        this.pending--;
        resolve(resp);
      });
    });
  }

  answer(pdu) {
    this.gather();
    this.session.send(pdu.response());
  }

  close() {
    this.ending = true;
    return new Promise((resolve) => {
      this.session.unbind(() => this.session.close(resolve));
    });
  }
}

export class Binds {
  static async connect(options, onReceipt, onFault) {
    const binds = new Binds();
    binds.all = await Promise.all(
      Array.from({ length: options.binds }, (_, i) => Bind.connect(options, `${options.systemID}-${i}`, onReceipt, onFault)),
    );
    binds.next = 0;
    return binds;
  }

  // pick is the next bind in turn that has room, which one has for whoever holds a slot.
  pick() {
    for (;;) {
      const bind = this.all[this.next];
      this.next = (this.next + 1) % this.all.length;
      if (bind.pending < bind.window) return bind;
    }
  }

  close() {
    return Promise.all(this.all.map((bind) => bind.close()));
  }
}
