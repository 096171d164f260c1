package versus

import (
	"encoding/binary"
	"net"
	"testing"
)

const responseBit = 0x80000000

// echo starts a peer that does next to nothing: it answers every request at
// once with ESME_ROK and a message id, all that came with one read in one write.
func echo(b *testing.B) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return l.Addr().String()
}

func answer(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	in := make([]byte, 0, 256<<10)
	var out []byte
	for {
		n, err := conn.Read(in[len(in):cap(in)])
		if err != nil {
			return
		}
		in, out = in[:len(in)+n], out[:0]
		rest := in
		for len(rest) >= 16 && len(rest) >= int(binary.BigEndian.Uint32(rest)) {
			if command := binary.BigEndian.Uint32(rest[4:]); command&responseBit == 0 {
				out = binary.BigEndian.AppendUint32(out, 25)
				out = binary.BigEndian.AppendUint32(out, command|responseBit)
				out = append(append(out, 0, 0, 0, 0), rest[12:16]...)
				out = append(out, "12345678\x00"...)
			}
			rest = rest[binary.BigEndian.Uint32(rest):]
		}
		in = append(in[:0], rest...)
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}
