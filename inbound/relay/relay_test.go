package relay

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/cipher/aead2022"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const timeout = time.Minute

// keyOf returns a key of the AES-128 method.
func keyOf(mark byte) []byte { return bytes.Repeat([]byte{mark}, 16) }

func cipherOf(t testing.TB, marks ...byte) core.Cipher {
	t.Helper()
	var k aead2022.Keys
	for _, m := range marks {
		k.PSKs = append(k.PSKs, keyOf(m))
	}
	c, err := aead2022.New(aead2022.Specs()[0], k, aead2022.NewSalts())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func env(c core.Cipher) core.Env {
	return core.Env{
		Section: core.SectionInbound, Name: "relay", Log: slog.New(slog.DiscardHandler),
		Graph: coretest.Graph{core.Ref[core.Cipher]("own"): c}, Process: new(core.Process),
	}
}

// servers returns one server to pass on to.
func servers(t testing.TB, name string, mark byte, at string) map[string]Next {
	t.Helper()
	n := Next{Key: option.Text(base64.StdEncoding.EncodeToString(keyOf(mark)))}
	if err := n.Server.UnmarshalText([]byte(at)); err != nil {
		t.Fatal(err)
	}
	return map[string]Next{name: n}
}

func newTestRelay(t testing.TB, how option.Reject) *relay {
	t.Helper()
	r, err := newRelay(cipherOf(t, 'r'), servers(t, "tokyo", 's', "192.0.2.9:8388"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Rejecter, err = inbound.NewRejecter(env(nil), inbound.Rejection{Reject: how}); err != nil {
		t.Fatal(err)
	}
	r.timeout = timeout
	return r
}

// flight returns a request of a client with these keys.
func flight(t testing.TB, marks ...byte) []byte {
	t.Helper()
	to, err := core.ParseAddr("example.com:443")
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	wire, far := coretest.Pipe()
	defer far.Close()
	s, err := cipherOf(t, marks...).DialStream(to, []byte("hello"), func(hello []byte) (core.Stream, error) {
		out = bytes.Clone(hello)
		return wire, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	return out
}

// visit sends a flight to a relay and has meet do what the pipeline would. It
// returns what the client sees, and when.
func visit(t *testing.T, r *relay, flight []byte, meet func(*core.Request, core.Pending)) (said []byte, took time.Duration, err error) {
	t.Helper()
	client, conn := coretest.Pipe()
	defer client.Close()
	began := time.Now()
	deadline := began.Add(timeout)
	_ = conn.SetDeadline(deadline)
	if _, err := client.Write(flight); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var asked coretest.Asked
		err := r.Handshake(t.Context(), conn, core.Client{}, &asked)
		if err != nil {
			r.Fail(conn, deadline, err)
			conn.Close()
			return
		}
		_ = conn.SetDeadline(time.Time{}) // as core.Server does
		if meet == nil {
			t.Error("a probe was passed on")
			conn.Close()
			return
		}
		meet(asked.Request, asked.Pending)
	}()
	said, err = io.ReadAll(client)
	took = time.Since(began)
	<-done
	return said, took, err
}

func accepted(t *testing.T, p core.Pending) core.Stream {
	t.Helper()
	s, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEnds has a relay meet noise, requests for others, and good requests whose
// server is away, or ends after a while without a word: all clients see the same,
// at the same time. Once there was an answer the end is the server's.
func TestEnds(t *testing.T) {
	noise := make([]byte, 300)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // never fails
	after := 10 * time.Second
	for _, tc := range []struct {
		name   string
		flight func() []byte
		meet   func(t *testing.T, p core.Pending)
		said   string
		took   time.Duration
	}{
		{"noise", func() []byte { return noise }, nil, "", timeout},
		{"too few bytes", func() []byte { return noise[:20] }, nil, "", timeout},
		{"for another server", func() []byte { return flight(t, 'r', 'x') }, nil, "", timeout},
		{"server away", func() []byte { return flight(t, 'r', 's') }, func(_ *testing.T, p core.Pending) {
			time.Sleep(after)
			p.Reject(errors.New("refused"))
		}, "", timeout},
		{"server ends", func() []byte { return flight(t, 'r', 's') }, func(t *testing.T, p core.Pending) {
			s := accepted(t, p)
			time.Sleep(after)
			_ = s.CloseWrite()
			time.Sleep(timeout)
			s.Close()
		}, "", timeout},
		{"server resets", func() []byte { return flight(t, 'r', 's') }, func(t *testing.T, p core.Pending) {
			s := accepted(t, p)
			time.Sleep(after)
			_ = s.CloseWrite()
			s.Close()
		}, "", timeout},
		{"server ends late", func() []byte { return flight(t, 'r', 's') }, func(t *testing.T, p core.Pending) {
			s := accepted(t, p)
			time.Sleep(2 * timeout)
			s.Close()
		}, "", 2 * timeout},
		{"server answers", func() []byte { return flight(t, 'r', 's') }, func(t *testing.T, p core.Pending) {
			s := accepted(t, p)
			time.Sleep(after)
			if _, err := s.Write([]byte("an")); err != nil {
				t.Error(err)
			}
			if _, err := s.(core.VectorWriter).WriteVector([][]byte{[]byte("sw"), []byte("er")}); err != nil {
				t.Error(err)
			}
			s.Close()
		}, "answer", after},
	} {
		for _, how := range []option.Reject{option.RejectDrain, option.RejectClose, option.RejectReset} {
			t.Run(tc.name+", "+string(how), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newTestRelay(t, how)
					var meet func(*core.Request, core.Pending)
					if tc.meet != nil {
						meet = func(_ *core.Request, p core.Pending) { tc.meet(t, p) }
					}
					said, took, err := visit(t, r, tc.flight(), meet)
					orderly := err == nil
					if string(said) != tc.said || took != tc.took {
						t.Errorf("got %q after %s, want %q after %s", said, took, tc.said, tc.took)
					}
					if early := tc.took == timeout; orderly == (how == option.RejectReset && early) || !orderly && !errors.Is(err, syscall.ECONNRESET) {
						t.Errorf("got the end %v", err)
					}
					r.Shutdown(t.Context())
				})
			})
		}
	}
}

// TestRequest checks what is passed on: to whom, and that it proves nothing.
func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestRelay(t, option.RejectDrain)
		b := flight(t, 'r', 's')
		_, _, _ = visit(t, r, b, func(q *core.Request, p core.Pending) {
			if q.User != "tokyo" || q.Target.String() != "192.0.2.9:8388" || len(q.Payload) != len(b)-16 || !q.Unproven {
				t.Errorf("got %+v", q)
			}
			p.Reject(nil)
		})
		r.Shutdown(t.Context())
	})
}

// TestShutdown ends at once what is held, when its context ends; what would be held
// later is not.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestRelay(t, option.RejectDrain)
		_, took, err := visit(t, r, flight(t, 'r', 's'), func(_ *core.Request, p core.Pending) {
			p.Reject(nil)
			time.Sleep(time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r.Shutdown(ctx)
		})
		if err != nil || took < 2*time.Second || took > 3*time.Second {
			t.Errorf("got an end after %s, %v, want it at the shutdown", took, err)
		}
		if _, took, _ := visit(t, r, flight(t, 'r', 's'), func(_ *core.Request, p core.Pending) { p.Reject(nil) }); took != 0 {
			t.Errorf("after the shutdown: got an end after %s, want it at once", took)
		}
	})
}

// TestPackets passes a datagram on and answers back, but not a stranger's.
func TestPackets(t *testing.T) {
	p := packets{newTestRelay(t, option.RejectDrain)}
	client, err := cipherOf(t, 'r', 's').(core.PacketCipher).NewPacketClient()
	if err != nil {
		t.Fatal(err)
	}
	server, err := cipherOf(t, 's').(core.PacketCipher).NewPacketServer()
	if err != nil {
		t.Fatal(err)
	}
	to := core.NewIPAddr(coretest.FreeAddr(t).Addr(), 53)
	wire, err := client.AppendPacket(nil, []byte("question"), to)
	if err != nil {
		t.Fatal(err)
	}
	o, err := p.Open(wire, coretest.FreeAddr(t))
	if err != nil || o.Session.User() != "tokyo" || o.Target.String() != "192.0.2.9:8388" || p.Roams() {
		t.Fatalf("got %+v, %v", o, err)
	}
	got, err := server.Open(o.Payload, coretest.FreeAddr(t))
	if err != nil || string(got.Payload) != "question" || got.Target != to {
		t.Fatalf("the server got %q for %v, %v", got.Payload, got.Target, err)
	}
	answer, err := got.Session.AppendPacket(nil, []byte("answer"), to)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := o.Session.AppendPacket([]byte("x"), answer, to); err == nil || string(out) != "x" {
		t.Errorf("a stranger's answer: got %d bytes, %v, want an error", len(out), err)
	}
	out, err := o.Session.AppendPacket(nil, answer, o.Target)
	if err != nil || len(out) > len(answer)+o.Session.Overhead(to) {
		t.Fatalf("got %d bytes, %v", len(out), err)
	}
	if payload, source, err := client.OpenPacket(out); err != nil || string(payload) != "answer" || source != to {
		t.Errorf("the client got %q from %v, %v", payload, source, err)
	}
	if _, err := p.Open(make([]byte, 100), coretest.FreeAddr(t)); !errors.Is(err, core.ErrAuth) {
		t.Errorf("noise: got %v, want %v", err, core.ErrAuth)
	}
}

func TestNew(t *testing.T) {
	good := servers(t, "tokyo", 's', "192.0.2.9:8388")
	plain, err := aead2022.New(aead2022.Specs()[2], aead2022.Keys{PSKs: [][]byte{make([]byte, 32)}}, aead2022.NewSalts())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		cipher core.Cipher
		next   map[string]Next
		mode   option.Mode
		key    string
		text   string
	}{
		{"both", cipherOf(t, 'r'), good, "both", "", ""},
		{"udp", cipherOf(t, 'r'), good, "udp", "", ""},
		{"nobody", cipherOf(t, 'r'), nil, "tcp", "next", "no server"},
		{"own key", cipherOf(t, 's'), good, "tcp", "next", "tokyo has the key of the relay itself"},
		{"without AES", plain, good, "tcp", "next", "has no identity headers"},
		{"another cipher", other{}, good, "tcp", "cipher", "use 2022-blake3-aes-128-gcm"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := Options{Cipher: "own", Next: tc.next, Options: inbound.Options{Listen: option.ListenList{option.ListenOn(coretest.AnyPort)}, MaxHandshakes: 1, ClientHandshakes: 64, MaxSessions: 1, ClientSessions: 1, Mode: tc.mode}}
			in, err := New(env(tc.cipher), o)
			bad, ok := errors.AsType[*core.OptionError](err)
			if ok != (tc.key != "") || ok && (bad.Key != tc.key || !bytes.Contains([]byte(err.Error()), []byte(tc.text))) || (in == nil) != ok {
				t.Errorf("got %v, %v, want an error for %q with %q", in, err, tc.key, tc.text)
			}
		})
	}
}

// other is a cipher without identity headers.
type other struct{ core.Cipher }

func (other) Method() string            { return "other" }
func (other) Derive(_ string, _ []byte) {}

// TestPatience: a relay waits for longer than any server behind it.
func TestPatience(t *testing.T) {
	for mark := range byte(50) {
		c := cipherOf(t, mark)
		if got := ownPatience(inbound.Rejection{}, c); got < 75*time.Second || got > 90*time.Second {
			t.Errorf("got %s, want 75 to 90 s", got)
		}
		if got := ownPatience(inbound.Rejection{Reject: option.RejectClose}, c); got < 12*time.Second || got > 15*time.Second {
			t.Errorf("close: got %s, want 12.5 to 15 s", got)
		}
	}
}
