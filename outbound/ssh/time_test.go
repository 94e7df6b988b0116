package ssh

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// memoryServer serves SSH over pipes in memory, in a bubble of testing/synctest. Each channel
// is accepted, and its far end returned by channels.
type memoryServer struct {
	config   *ssh.ServerConfig
	key      HostKey
	dials    atomic.Int32
	silent   atomic.Bool // new bytes of clients are lost
	channels chan ssh.Channel
	serving  sync.WaitGroup
}

func newMemoryServer(t *testing.T) *memoryServer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	m := &memoryServer{config: &ssh.ServerConfig{NoClientAuth: true}, channels: make(chan ssh.Channel, 8)}
	m.config.AddHostKey(signer)
	m.key = HostKey{ssh.FingerprintSHA256(signer.PublicKey()), signer.PublicKey()}
	return m
}

// deaf is the server's end of a connection whose client's bytes are lost at will.
type deaf struct {
	core.Stream
	server *memoryServer
}

func (d deaf) Read(p []byte) (int, error) {
	for {
		n, err := d.Stream.Read(p)
		if err != nil || !d.server.silent.Load() {
			return n, err
		}
	}
}

// wire returns the dialer of the server.
func (m *memoryServer) wire() core.Dialer {
	return &coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) {
		m.dials.Add(1)
		near, far := coretest.Pipe()
		m.serving.Go(func() {
			defer far.Close()
			_, chans, requests, err := ssh.NewServerConn(deaf{far, m}, m.config)
			if err != nil {
				return
			}
			m.serving.Go(func() { ssh.DiscardRequests(requests) })
			for n := range chans {
				c, requests, err := n.Accept()
				if err != nil {
					continue
				}
				m.serving.Go(func() { ssh.DiscardRequests(requests) })
				m.channels <- c
			}
		})
		return near, nil
	}}
}

// timed returns an outbound to the server, with the times of the defaults.
func (m *memoryServer) timed(t *testing.T) (*Outbound, core.Dialer) {
	t.Helper()
	o := Options{
		Login: Login{User: "alice", Password: option.Password{Password: "pw"}}, HostKey: HostKeys{m.key}, Connections: 1,
		KeepAlive: option.Timeout(15 * time.Second), IdleTimeout: option.Timeout(5 * time.Minute), ConnectTimeout: option.Duration(15 * time.Second),
	}
	if err := o.Server.UnmarshalText([]byte("192.0.2.1:22")); err != nil {
		t.Fatal(err)
	}
	out := newOutbound(t, o)
	return out, over(t, out, m.wire())
}

// ending ends an outbound and its server within the bubble.
func (m *memoryServer) ending(out *Outbound) {
	_ = out.Shutdown(context.Background())
	m.serving.Wait()
}

// TestSilent has a server answer nothing any more: its streams end, and the next request has
// a new connection. A server that is merely idle is kept, and so is one that sends.
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryServer(t)
		out, d := m.timed(t)
		defer m.ending(out)
		st, err := d.DialStream(t.Context(), request("192.0.2.2:80"))
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		far := <-m.channels
		_ = st.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := st.Read(make([]byte, 1)); core.ReasonOf(err) != "timeout" {
			t.Errorf("an idle server: got %v, want a timeout", err)
		}
		_ = st.SetReadDeadline(time.Time{})
		m.silent.Store(true)
		for range 20 {
			time.Sleep(20 * time.Second)
			coretest.Write(t, writer{far}, []byte("x"))
			coretest.Read(t, st, []byte("x"))
		}
		last := time.Now()
		_, err = st.Read(make([]byte, 1))
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), errSilent.Error()) {
			t.Errorf("got %v, want %v", err, errSilent)
		}
		if took := time.Since(last); took < 3*15*time.Second || took > 5*15*time.Second {
			t.Errorf("given up after %s, want three to five times 15s", took)
		}
		m.silent.Store(false)
		again, err := d.DialStream(t.Context(), request("192.0.2.2:80"))
		if err != nil {
			t.Fatal(err)
		}
		again.Close()
		<-m.channels
		if n := m.dials.Load(); n != 2 {
			t.Errorf("dialled %d times, want 2", n)
		}
	})
}

// writer is the writing side of a channel.
type writer struct{ io.Writer }

// TestIdle checks that a connection without streams ends, and not one with a stream.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryServer(t)
		out, d := m.timed(t)
		defer m.ending(out)
		st, err := d.DialStream(t.Context(), request("192.0.2.2:80"))
		if err != nil {
			t.Fatal(err)
		}
		<-m.channels
		connection := out.all()[0].sessions()[0]
		time.Sleep(time.Hour)
		select {
		case <-connection.done:
			t.Error("a connection with a stream has ended")
		default:
		}
		st.Close()
		closedAt := time.Now()
		<-connection.done
		if took := time.Since(closedAt); took != 5*time.Minute {
			t.Errorf("ended %s after its last stream, want 5m", took)
		}
	})
}

// A server that says nothing is given up after connect_timeout, whatever the request's own
// time is, and its wire is closed.
func TestSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryServer(t)
		m.silent.Store(true)
		out, d := m.timed(t)
		defer m.ending(out)
		began := time.Now()
		_, err := d.DialStream(t.Context(), request("192.0.2.2:80"))
		if took := time.Since(began); core.ReasonOf(err) != "timeout" || took != 15*time.Second || !strings.Contains(err.Error(), "connect_timeout") {
			t.Errorf("got %v after %s, want connect_timeout after 15s", err, took)
		}
	})
}
