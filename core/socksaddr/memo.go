package socksaddr

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
)

// Memo reads addresses that come again and again without an allocation for
// each: it remembers the last host names. The zero Memo is ready, and safe for
// concurrent use.
type Memo struct {
	slots [64]atomic.Pointer[memoized]
}

// memoized is a name as it stood on the wire, with the address that it is.
type memoized struct {
	wire string    // type, length and name
	addr core.Addr // its port means nothing
}

// memoSeed is the seed of the hash of names in a Memo.
var memoSeed = maphash.MakeSeed()

// Decode is the function Decode.
func (m *Memo) Decode(b []byte) (core.Addr, int, error) {
	if len(b) < 2 || b[0] != atypDomain || len(b) < 2+int(b[1])+2 {
		return Decode(b)
	}
	n := 2 + int(b[1])
	slot := &m.slots[maphash.Bytes(memoSeed, b[:n])%uint64(len(m.slots))]
	if known := slot.Load(); known != nil && known.wire == string(b[:n]) {
		return known.addr.WithPort(uint16(b[n])<<8 | uint16(b[n+1])), n + 2, nil
	}
	a, size, err := Decode(b)
	if err == nil {
		slot.Store(&memoized{wire: string(b[:n]), addr: a})
	}
	return a, size, err
}

// Len returns the length of a on the wire in bytes.
func Len(a core.Addr) int {
	switch {
	case a.Name() != "":
		return 1 + 1 + len(a.Name()) + 2
	case a.IP().Is4():
		return 1 + 4 + 2
	}
	return 1 + 16 + 2
}
