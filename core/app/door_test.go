package app

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

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
