// What a submit_sm or data_sm says, as node-smpp decoded it, and how its parts
// become one text.

// userData returns the part of the PDU that carries the message.
function userData(pdu) {
  return pdu.short_message?.message?.length || pdu.short_message?.udh ? pdu.short_message : pdu.message_payload;
}

export function textOf(pdu) {
  const data = userData(pdu);
  const message = data?.message ?? data ?? '';
  return Buffer.isBuffer(message) ? message.toString('latin1') : message;
}

// udhOf undoes node-smpp's split of the header into elements.
export function udhOf(pdu) {
  const udh = userData(pdu)?.udh;
  if (!udh) return Buffer.alloc(0);
  const elements = Buffer.isBuffer(udh) ? udh : Buffer.concat(udh);
  return Buffer.concat([Buffer.from([elements.length]), elements]);
}

// partOf finds information element 0x00 or 0x08 (3GPP TS 23.040 §9.2.3.24) or
// the sar_ parameters (SMPP 3.4 §5.3.2.22 to 24).
export function partOf(pdu, udh = udhOf(pdu)) {
  for (let i = 1; i + 1 < udh.length; i += 2 + udh[i + 1]) {
    const [id, length] = [udh[i], udh[i + 1]];
    if (id === 0x00 && length === 3) return { by: 'udh8', reference: udh[i + 2], total: udh[i + 3], number: udh[i + 4] };
    if (id === 0x08 && length === 4) return { by: 'udh16', reference: udh.readUInt16BE(i + 2), total: udh[i + 4], number: udh[i + 5] };
  }
  if (pdu.sar_msg_ref_num !== undefined) {
    return { by: 'sar', reference: pdu.sar_msg_ref_num, total: pdu.sar_total_segments, number: pdu.sar_segment_seqnum };
  }
  return { by: pdu.message_payload ? 'payload' : 'whole', reference: 0, total: 1, number: 1 };
}

export class Assembly {
  constructor(record) {
    this.record = record;
    this.parts = new Map(); // source, destination and reference to texts by number
  }

  add(pdu, text, part) {
    const about = { from: pdu.source_addr, to: pdu.destination_addr, by: part.by, parts: part.total };
    if (part.total === 1) {
      this.record.write('message', { ...about, text });
      return;
    }
    const key = `${about.from} ${about.to} ${part.by} ${part.reference} ${part.total}`;
    const texts = this.parts.get(key) ?? new Map();
    this.parts.set(key, texts.set(part.number, text));
    if (texts.size === part.total) {
      this.parts.delete(key);
      const whole = Array.from({ length: part.total }, (_, i) => texts.get(i + 1)).join('');
      this.record.write('message', { ...about, text: whole });
    }
  }
}
