package text

// Information elements of concatenated messages (3GPP TS 23.040 §9.2.3.24.1,
// §9.2.3.24.8).
const (
	elementConcat8  = 0x00
	elementConcat16 = 0x08
)

// Reference derives the concatenation reference of a job, so that a part that
// is sent again joins the others, whoever sends it. Two long texts that reach
// one handset at the same time collide once in 256, or once in 65,536 with
// 16-bit references.
func Reference(producer, jobID string) uint16 {
	h := fnvString(fnvOffset, producer)
	h = fnvString((h^0xFF)*fnvPrime, jobID) // 0xFF ends the producer: it is in no UTF-8 text
	return uint16(h ^ h>>16)                // folded, as the low octet alone is the reference when it is 8 bits wide
}

// FNV-1a, 32 bits, here because hash/fnv allocates.
const (
	fnvOffset uint32 = 2166136261
	fnvPrime  uint32 = 16777619
)

func fnvString(h uint32, s string) uint32 {
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * fnvPrime
	}
	return h
}

// headerOctets is the size of a concatenation header with its length octet.
func headerOctets(o Options) int {
	if o.Ref16 {
		return 7
	}
	return 6
}

func appendHeader(b []byte, o Options, total, number int) []byte {
	if o.Ref16 {
		return append(b, 6, elementConcat16, 4, byte(o.Ref>>8), byte(o.Ref), byte(total), byte(number))
	}
	return append(b, 5, elementConcat8, 3, byte(o.Ref), byte(total), byte(number))
}
