// What the SMSC sends by itself: receipts in the forms that are met in the
// wild, and messages from handsets. It keeps each until somebody takes it.

import smpp from 'smpp';

const temporary = [smpp.ESME_RX_T_APPN, smpp.ESME_RSYSERR, smpp.ESME_RMSGQFUL, smpp.ESME_RTHROTTLED];
const gsmText = 'Long message from the handset: ' + 'grün und € 12 [ok] '.repeat(20) + 'end.';
const ucs2Text = 'Длинное сообщение: ' + 'привет 😀 мир '.repeat(15) + 'конец.';

// What comes back from a number, by its ending.
const answers = {
  900777: { text: gsmText, data_coding: 0, parts: 3, header: (r, n) => [5, 0, 3, r & 0xff, 3, n] },
  900778: { text: ucs2Text, data_coding: 8, parts: 4, header: (r, n) => [6, 8, 4, r >> 8, r & 0xff, 4, n] },
  900779: { text: gsmText, data_coding: 0 },
  900780: { text: ucs2Text, data_coding: 8 },
};

const pad = (n) => String(n).padStart(2, '0');
const appendixBDate = (d) =>
  pad(d.getUTCFullYear() % 100) + pad(d.getUTCMonth() + 1) + pad(d.getUTCDate()) + pad(d.getUTCHours()) + pad(d.getUTCMinutes());

export class Delivery {
  constructor(sessions, record, delays) {
    this.sessions = sessions; // of the server, live
    this.record = record;
    this.delays = delays; // receipt and retry, milliseconds
    this.reference = 0x1fe; // of concatenated messages; the next has low octet 0xff
    this.turn = 0; // of the session that sends next
    this.owed = new Map(); // session to what it has not answered
  }

  // send sends a deliver_sm or data_sm, and again for as long as the answer is
  // a temporary error or none, over the sessions of the account that receive, in turn.
  send(item) {
    const targets = this.sessions.filter((s) => s.bound && s.kind !== 'bind_transmitter' && s.socket.writable);
    if (targets.length === 0) {
      this.later(item);
      return;
    }
    const target = targets[this.turn++ % targets.length];
    if (!this.owed.has(target)) {
      this.owed.set(target, new Set());
      target.on('close', () => this.owed.get(target).forEach((unanswered) => this.later(unanswered)));
    }
    this.owed.get(target).add(item);
    // A copy, since node-smpp encodes the message in place.
    target[item.command ?? 'deliver_sm']({ ...item.fields }, (resp) => {
      this.owed.get(target).delete(item);
      this.record.write('deliver_resp', { ...item.about, status: resp.command_status, message_id: resp.message_id ?? '' });
      if (temporary.includes(resp.command_status)) this.later(item);
    });
  }

  later(item) {
    setTimeout(() => this.send(item), this.delays.retry);
  }

  // receipt reports on a submit, given as its line in the record.
  receipt(submit) {
    const state = submit.to.endsWith('900501') ? { stat: 'UNDELIV', tlv: 5, err: '001' } : { stat: 'DELIVRD', tlv: 2, err: '000' };
    const text = (id) =>
      [
        `id:${id} sub:001 dlvrd:${state.err === '000' ? '001' : '000'}`,
        `submit date:${appendixBDate(new Date(submit.at))} done date:${appendixBDate(new Date())}`,
        `stat:${state.stat} err:${state.err} text:${submit.text.replace(/[^ -~]/g, '?').slice(0, 20)}`,
      ].join(' ');
    const fields = {
      source_addr_ton: submit.to_ton,
      source_addr_npi: submit.to_npi,
      source_addr: submit.to,
      dest_addr_ton: submit.from_ton,
      dest_addr_npi: submit.from_npi,
      destination_addr: submit.from,
      esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT,
      data_coding: 0, // node-smpp would say 1 for GSM 03.38
    };
    const tlvs = { receipted_message_id: submit.message_id, message_state: state.tlv };
    const item = { about: { kind: 'receipt', id: submit.message_id }, fields };
    if (submit.to.endsWith('900502')) Object.assign(fields, tlvs);
    else if (submit.to.endsWith('900503')) {
      // Logica's way: the number is hexadecimal in submit_sm_resp and decimal in the text.
      Object.assign(fields, tlvs, { short_message: text(BigInt('0x' + submit.message_id).toString().padStart(20, '0')) });
    } else if (submit.to.endsWith('900504')) {
      item.command = 'data_sm';
      Object.assign(fields, tlvs, { message_payload: text(submit.message_id) });
    } else fields.short_message = text(submit.message_id);
    setTimeout(() => this.send(item), this.delays.receipt);
  }

  // answer lets the recipient of a submit write back, if it is one that does.
  answer(submit) {
    const answer = answers[submit.to.slice(-6)];
    if (!answer) return;
    const fields = { source_addr: submit.to, destination_addr: submit.from, data_coding: answer.data_coding };
    if (!answer.header) {
      this.send({ about: { kind: 'mo', number: 1 }, fields: { ...fields, message_payload: answer.text } });
      return;
    }
    this.reference = (this.reference + 1) & 0xffff;
    const perPart = Math.ceil(answer.text.length / answer.parts);
    for (let number = 1; number <= answer.parts; number++) {
      const message = answer.text.slice((number - 1) * perPart, number * perPart);
      this.send({
        about: { kind: 'mo', number },
        fields: {
          ...fields,
          esm_class: smpp.ESM_CLASS.UDH_INDICATOR,
          short_message: { udh: Buffer.from(answer.header(this.reference, number)), message },
        },
      });
    }
  }
}
