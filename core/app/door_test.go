package app

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/view"
)

// Who asks for a reload that moves the door that was asked gets the answer.
func TestAnswerOfADoorThatCloses(t *testing.T) {
	log := coretest.Log(t)
	for _, tc := range []struct{ name, network, address string }{
		{"web", "tcp", "127.0.0.1:0"}, {"socket", "unix", filepath.Join(t.TempDir(), "s")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ln, err := net.Listen(tc.network, tc.address)
			if err != nil {
				t.Fatal(err)
			}
			asked, reloaded := make(chan struct{}), make(chan struct{})
			server := newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				close(asked)
				<-reloaded
				_, _ = io.WriteString(w, "served")
			}), log)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = server.Serve(ln)
			}()
			shown := view.New(nil, view.Options{Log: log})
			retire := func() <-chan struct{} { return (&door{view: shown, server: server, done: done}).retire() }
			if tc.network == "unix" {
				retire = func() <-chan struct{} {
					return (&admin{path: tc.address, view: shown, server: server, done: done}).retire()
				}
			}
			answer := make(chan string, 1)
			go func() {
				c, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
				if err != nil {
					answer <- err.Error()
					return
				}
				defer c.Close()
				_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
				all, _ := io.ReadAll(c)
				answer <- string(all[max(0, len(all)-6):])
			}()
			<-asked
			gone := retire()
			if c, err := net.Dial(ln.Addr().Network(), ln.Addr().String()); err == nil {
				c.Close()
				t.Error("the address is not free")
			}
			close(reloaded)
			if got := <-answer; got != "served" {
				t.Errorf("got %q", got)
			}
			<-gone
		})
	}
}

// A client that does not read what it asked for loses its connection: it holds no memory, and
// no place among the scrapes, for good.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, wire := net.Pipe()
		ended := make(chan struct{})
		server := newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			defer close(ended)
			_, _ = w.Write(make([]byte, 1<<20))
		}), coretest.Log(t))
		ln := &onePipe{wire: make(chan net.Conn, 1)}
		ln.wire <- wire
		go func() { _ = server.Serve(ln) }()
		_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		select {
		case <-ended:
		case <-time.After(time.Hour):
			t.Error("the handler still writes")
		}
		client.Close()
		_ = server.Close()
		synctest.Wait()
	})
}

// onePipe is a net.Listener that accepts the connections of a channel.
type onePipe struct {
	wire chan net.Conn
	once sync.Once
}

func (l *onePipe) Accept() (net.Conn, error) {
	c, ok := <-l.wire
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *onePipe) Close() error {
	l.once.Do(func() { close(l.wire) })
	return nil
}

func (*onePipe) Addr() net.Addr { return &net.TCPAddr{} }
