package netio

import (
	"net"

	"github.com/umbra-proxy/umbra/core"
)

// WriteVector writes all pieces to dst, in one call if dst supports vectored writes. It
// may change pieces and their bytes. It returns the number of bytes that dst accepted.
func WriteVector(dst core.Stream, pieces [][]byte) (int, error) {
	if v, ok := dst.(core.VectorWriter); ok {
		return v.WriteVector(pieces)
	}
	if tcp := Bare(dst); tcp != nil {
		vector := net.Buffers(pieces)
		n, err := vector.WriteTo(tcp)
		return int(n), err
	}
	total := 0
	for _, p := range pieces {
		n, err := dst.Write(p)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
