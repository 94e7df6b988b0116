package stream_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// limited returns a method with a limit of bytes under one IV.
func limited(t testing.TB, limit uint64) stream.Spec {
	s := spec(t, "chacha20-ietf")
	s.Limit = limit
	return s
}

// connect returns both ends of a stream over a wire in memory. The request has an
// address of 7 bytes.
func connect(t testing.TB, client, server stream.Spec) (near, far core.Stream) {
	t.Helper()
	a, b := coretest.Pipe()
	near, err := newCipher(t, client).DialStream(core.AddrFrom(someone), nil, func(hello []byte) (core.Stream, error) {
		_, err := a.Write(hello)
		return a, err
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := newCipher(t, server).AcceptStream(b, core.Caller{Addr: someone})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		near.Close()
		got.Stream.Close()
	})
	return near, got.Stream
}

// writings are the functions that write to a stream.
var writings = map[string]func(s core.Stream, b []byte) (int, error){
	"write": func(s core.Stream, b []byte) (int, error) { return s.Write(b) },
	"vector": func(s core.Stream, b []byte) (int, error) {
		return s.(core.VectorWriter).WriteVector(slices.Collect(slices.Chunk(b, 3)))
	},
	"burst": func(s core.Stream, b []byte) (int, error) {
		near, far := coretest.Pipe()
		defer near.Close()
		if _, err := far.Write(b); err != nil {
			return 0, err
		}
		return s.(core.BurstReader).ReadBurst(near)
	},
}

// TestWritings checks that written bytes arrive, in both directions.
func TestWritings(t *testing.T) {
	for _, method := range []string{"aes-256-cfb", "rc4-md5", "table"} {
		for name, write := range writings {
			t.Run(method+", "+name, func(t *testing.T) {
				client, server := connect(t, spec(t, method), spec(t, method))
				for _, ends := range [][2]core.Stream{{client, server}, {server, client}} {
					for i := range 20 {
						want := coretest.Pattern(1+100*i, byte(i))
						if n, err := write(ends[0], bytes.Clone(want)); n != len(want) || err != nil {
							t.Fatalf("write %d: got %d, %v, want %d", i, n, err, len(want))
						}
						got := make([]byte, len(want))
						if _, err := io.ReadFull(ends[1], got); err != nil || !bytes.Equal(got, want) {
							t.Fatalf("read %d: got other bytes, %v", i, err)
						}
					}
				}
			})
		}
	}
}

// TestLimit writes the maximum under one IV, and then more.
func TestLimit(t *testing.T) {
	for name, write := range writings {
		t.Run(name, func(t *testing.T) {
			const address, room = 7, 30
			client, server := connect(t, limited(t, address+room), limited(t, 0))
			if n, err := write(client, make([]byte, room)); n != room || err != nil {
				t.Fatalf("got %d, %v, want %d", n, err, room)
			}
			for range 2 {
				if n, err := write(client, []byte{1}); n != 0 || !errors.Is(err, core.ErrMalformed) {
					t.Errorf("over the limit: got %d, %v, want 0, %v", n, err, core.ErrMalformed)
				}
			}
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(server); len(got) != room || err != nil {
				t.Errorf("got %d bytes, %v, want %d", len(got), err, room)
			}
		})
	}
}

// TestReadLimit reads more than the maximum under one IV.
func TestReadLimit(t *testing.T) {
	const address, room = 7, 30
	for _, burst := range []bool{false, true} {
		client, server := connect(t, limited(t, 0), limited(t, address+room))
		if _, err := client.Write(make([]byte, room)); err != nil {
			t.Fatal(err)
		}
		read := func() error {
			if !burst {
				_, err := server.Read(make([]byte, 2*room))
				return err
			}
			sink, end := coretest.Pipe()
			defer end.Close()
			_, err := server.(core.BurstWriter).WriteBurst(sink)
			return err
		}
		if err := read(); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := read(); !errors.Is(err, core.ErrMalformed) {
				t.Errorf("burst %t: got %v, want %v", burst, err, core.ErrMalformed)
			}
		}
	}
}

// TestHelloLimit dials with more than the maximum under one IV.
func TestHelloLimit(t *testing.T) {
	s, err := newCipher(t, limited(t, 6)).DialStream(core.AddrFrom(someone), nil, func([]byte) (core.Stream, error) {
		t.Error("dialled")
		return nil, nil
	})
	if s != nil || !errors.Is(err, core.ErrMalformed) {
		t.Errorf("got %v, %v, want %v", s, err, core.ErrMalformed)
	}
}

// TestCutAnswer ends an answer at each byte of its IV, and after it.
func TestCutAnswer(t *testing.T) {
	s := spec(t, "aes-128-cfb")
	answer := encrypted(t, s, coretest.Pattern(s.IVSize, 1), []byte("hello"))
	for n := range answer {
		near, far := coretest.Pipe()
		client, err := newCipher(t, s).DialStream(core.AddrFrom(someone), nil, func([]byte) (core.Stream, error) { return near, nil })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := far.Write(answer[:n]); err != nil {
			t.Fatal(err)
		}
		if err := far.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		var want error
		if n > 0 && n < s.IVSize {
			want = io.ErrUnexpectedEOF
		}
		if got, err := io.ReadAll(client); string(got) != "hello"[:max(0, n-s.IVSize)] || err != want {
			t.Errorf("%d bytes: got %q, %v, want the rest and %v", n, got, err, want)
		}
		client.Close()
		far.Close()
	}
}

// TestBrokenWire makes a write fail: the encrypted bytes are lost, so nothing after them could
// be decrypted.
func TestBrokenWire(t *testing.T) {
	for name, write := range writings {
		wire := &failing{}
		s, err := newCipher(t, spec(t, "aes-128-ctr")).DialStream(core.AddrFrom(someone), nil, func([]byte) (core.Stream, error) { return wire, nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{errBroken, nil} {
			wire.err = err
			if n, err := write(s, []byte("hello")); n != 0 || !errors.Is(err, errBroken) {
				t.Errorf("%s: got %d, %v, want 0, %v", name, n, err, errBroken)
			}
		}
	}
}

var errBroken = errors.New("broken")

// failing is a wire whose writes fail.
type failing struct {
	core.Stream
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return len(p), nil
}
