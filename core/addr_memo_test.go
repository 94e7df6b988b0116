package core_test

import (
	"fmt"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// decodeAlike compares a memo with DecodeAddr, twice, because the first call may
// change what the second one finds.
func decodeAlike(t *testing.T, memo *core.AddrMemo, wire []byte) {
	t.Helper()
	want, size, wantErr := core.DecodeAddr(wire)
	for range 2 {
		got, n, err := memo.Decode(wire)
		if got != want || n != size || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%x: got %v, %d, %v, want %v, %d, %v", wire, got, n, err, want, size, wantErr)
		}
	}
}

func TestAddrMemoVectors(t *testing.T) {
	var memo core.AddrMemo
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
func TestAddrMemoNames(t *testing.T) {
	var memo core.AddrMemo
	buf := make([]byte, 0, core.MaxAddrLen)
	for i := range 2000 {
		want := coretest.Addr(t, fmt.Sprintf("n%d.test:%d", i%500, i))
		buf = core.AppendAddr(buf[:0], want)
		got, n, err := memo.Decode(buf)
		clear(buf)
		if got != want || n != core.AddrLen(want) || err != nil {
			t.Fatalf("got %v, %d, %v, want %v, %d", got, n, err, want, core.AddrLen(want))
		}
	}
}

func TestAddrMemoAtOnce(t *testing.T) {
	var memo core.AddrMemo
	work := func() {
		for i := range 500 {
			want := coretest.Addr(t, fmt.Sprintf("n%d.test:%d", i%100, i))
			if got, _, err := memo.Decode(core.AppendAddr(nil, want)); got != want || err != nil {
				t.Errorf("got %v, %v, want %v", got, err, want)
				return
			}
		}
	}
	coretest.Together(work, work, work, work)
}

func TestAddrMemoAllocates(t *testing.T) {
	var memo core.AddrMemo
	for _, s := range []string{"example.com:443", "192.0.2.1:53", "[2001:db8::1]:53"} {
		wire := core.AppendAddr(nil, coretest.Addr(t, s))
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

func TestAddrLen(t *testing.T) {
	for _, s := range []string{
		"192.0.2.1:80", "0.0.0.0:0", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:80", "a:1", "example.com:443", coretest.Name(core.MaxName) + ".:1",
	} {
		a := coretest.Addr(t, s)
		if got, want := core.AddrLen(a), len(core.AppendAddr(nil, a)); got != want {
			t.Errorf("%s: got %d, want %d", s, got, want)
		}
	}
}

// FuzzAddrMemo checks that a memo that has seen all kinds of addresses reads each
// as DecodeAddr does.
func FuzzAddrMemo(f *testing.F) {
	v := readAddrVectors(f)
	for _, tc := range v.Valid {
		f.Add(unhex(f, tc.Bytes))
	}
	for _, tc := range v.Invalid {
		f.Add(unhex(f, tc.Bytes))
	}
	var memo core.AddrMemo
	f.Fuzz(func(t *testing.T, wire []byte) {
		decodeAlike(t, &memo, wire)
		if a, n, err := memo.Decode(wire); err == nil {
			if out := core.AppendAddr(nil, a); len(out) != core.AddrLen(a) {
				t.Errorf("%v: got a length of %d, want %d", a, core.AddrLen(a), len(out))
			}
			decodeAlike(t, &memo, wire[:n-1])
		}
	})
}
