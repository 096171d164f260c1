// Package text turns message texts into the octets of submit_sm and back: it
// chooses the alphabet, splits what is too long into concatenated parts and
// never cuts a character.
//
// It follows 3GPP TS 23.038 (GSM 03.38: the default alphabet and its extension
// table, data coding scheme), 3GPP TS 23.040 §9.2.3.24 (user data header,
// concatenation) and SMPP 3.4 §5.2.19 (data_coding), §5.3.2.22 to 24 (SAR).
// GSM 7-bit text is unpacked, one octet per septet, as SMPP carries it, unless
// the SMSC takes data_coding 0 for something else: see Alphabet.
package text
