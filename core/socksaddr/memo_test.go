package socksaddr_test

import (
	"fmt"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// decodeAlike compares a memo with Decode, twice, because the first call may
// change what the second one finds.
func decodeAlike(t *testing.T, memo *socksaddr.Memo, wire []byte) {
	t.Helper()
	want, size, wantErr := socksaddr.Decode(wire)
	for range 2 {
		got, n, err := memo.Decode(wire)
		if got != want || n != size || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%x: got %v, %d, %v, want %v, %d, %v", wire, got, n, err, want, size, wantErr)
		}
	}
}

func TestMemoVectors(t *testing.T) {
	var memo socksaddr.Memo
	v := readAddrVectors(t)
	for range 2 {
		for _, tc := range v.Valid {
			wire := unhex(t, tc.Bytes)
			decodeAlike(t, &memo, append(wire, "payload"...))
			for cut := range wire {
				decodeAlike(t, &memo, wire[:cut])
			}
		}
		for _, tc := range v.Invalid {
			decodeAlike(t, &memo, unhex(t, tc.Bytes))
		}
	}
}

// The port is each datagram's own, the bytes are the caller's again, and names
// that meet in one place drive each other out.
func TestMemoNames(t *testing.T) {
	var memo socksaddr.Memo
	buf := make([]byte, 0, socksaddr.MaxLen)
	for i := range 2000 {
		want := coretest.Addr(t, fmt.Sprintf("n%d.test:%d", i%500, i))
		buf = socksaddr.Append(buf[:0], want)
		got, n, err := memo.Decode(buf)
		clear(buf)
		if got != want || n != socksaddr.Len(want) || err != nil {
			t.Fatalf("got %v, %d, %v, want %v, %d", got, n, err, want, socksaddr.Len(want))
		}
	}
}

func TestMemoAtOnce(t *testing.T) {
	var memo socksaddr.Memo
	work := func() {
		for i := range 500 {
			want := coretest.Addr(t, fmt.Sprintf("n%d.test:%d", i%100, i))
			if got, _, err := memo.Decode(socksaddr.Append(nil, want)); got != want || err != nil {
				t.Errorf("got %v, %v, want %v", got, err, want)
				return
			}
		}
	}
	coretest.Together(work, work, work, work)
}

func TestMemoAllocates(t *testing.T) {
	var memo socksaddr.Memo
	for _, s := range []string{"example.com:443", "192.0.2.1:53", "[2001:db8::1]:53"} {
		wire := socksaddr.Append(nil, coretest.Addr(t, s))
		n := testing.AllocsPerRun(100, func() {
			wire[len(wire)-1]++ // another port
			if _, _, err := memo.Decode(wire); err != nil {
				t.Error(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: got %v allocations, want 0", s, n)
		}
	}
}

func TestLen(t *testing.T) {
	for _, s := range []string{
		"192.0.2.1:80", "0.0.0.0:0", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:80", "a:1", "example.com:443", coretest.Name(core.MaxName) + ".:1",
	} {
		a := coretest.Addr(t, s)
		if got, want := socksaddr.Len(a), len(socksaddr.Append(nil, a)); got != want {
			t.Errorf("%s: got %d, want %d", s, got, want)
		}
	}
}

// FuzzMemo checks that a memo that has seen all kinds of addresses reads each
// as Decode does.
func FuzzMemo(f *testing.F) {
	v := readAddrVectors(f)
	for _, tc := range v.Valid {
		f.Add(unhex(f, tc.Bytes))
	}
	for _, tc := range v.Invalid {
		f.Add(unhex(f, tc.Bytes))
	}
	var memo socksaddr.Memo
	f.Fuzz(func(t *testing.T, wire []byte) {
		decodeAlike(t, &memo, wire)
		if a, n, err := memo.Decode(wire); err == nil {
			if out := socksaddr.Append(nil, a); len(out) != socksaddr.Len(a) {
				t.Errorf("%v: got a length of %d, want %d", a, socksaddr.Len(a), len(out))
			}
			decodeAlike(t, &memo, wire[:n-1])
		}
	})
}
