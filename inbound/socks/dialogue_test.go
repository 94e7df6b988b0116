package socks

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// tell writes what the client says and reads the answer, want.
func tell(t *testing.T, client net.Conn, say, want string) {
	t.Helper()
	if _, err := io.WriteString(client, say); err != nil {
		t.Fatalf("say %x: %v", say, err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(client, got); err != nil || string(got) != want {
		t.Fatalf("said %x: got %x, %v, want %x", say, got, err, want)
	}
}

// Most clients wait for each answer before they go on.
func TestDialogue(t *testing.T) {
	client, conn := newDuplex(t)
	h := handshakerFor(t, map[string]option.Text{"bob": "secret"})
	done := make(chan struct{})
	go func() {
		defer close(done)
		var asked coretest.Asked
		if err := h.Handshake(t.Context(), conn, core.Client{}, &asked); err != nil {
			t.Errorf("handshake: %v", err)
			return
		}
		r := asked.Request
		if got := r.Target.String(); got != "example.com:443" || r.User != "bob" || r.Payload != nil {
			t.Errorf("got %q, %q, %q, want example.com:443, bob and no payload", got, r.User, r.Payload)
		}
		s, err := asked.Pending.Accept()
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		if _, err := io.Copy(s, s); err != nil { // echo
			t.Errorf("echo: %v", err)
		}
		_ = s.CloseWrite()
	}()
	tell(t, client, helloLogin, "\x05\x02")
	tell(t, client, loginBob, "\x01\x00")
	tell(t, client, toName, ok)
	tell(t, client, "ping", "ping")
	_ = client.CloseWrite()
	if rest, err := io.ReadAll(client); len(rest) > 0 || err != nil {
		t.Errorf("got %q, %v after the end, want nothing", rest, err)
	}
	<-done
}

// A client that stalls anywhere is let go at the deadline that the caller set,
// and is told nothing more.
func TestDialogueStalls(t *testing.T) {
	for _, tc := range []struct {
		name   string
		say    string
		answer string
		more   string
	}{
		{"nothing", "", "", ""},
		{"half a greeting", "\x05", "", ""},
		{"greeting", hello, "\x05\x00", ""},
		{"half a request", hello, "\x05\x00", "\x05\x01\x00\x03\x0bexam"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, conn := newDuplex(t)
				began, done := time.Now(), make(chan struct{})
				if err := conn.SetDeadline(began.Add(defaultTimeout.Std())); err != nil {
					t.Fatal(err)
				}
				go func() {
					defer close(done)
					h := new(handshaker)
					err := h.Handshake(t.Context(), conn, core.Client{}, new(coretest.Asked))
					if !errors.Is(err, core.ErrShort) || !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("got %v, want ErrShort and the deadline", err)
					}
					h.Fail(conn, began.Add(defaultTimeout.Std()), err)
					conn.Close()
				}()
				if tc.say != "" {
					tell(t, client, tc.say, tc.answer)
				}
				if tc.more != "" {
					tell(t, client, tc.more, "")
				}
				if rest, err := io.ReadAll(client); len(rest) > 0 || err != nil {
					t.Errorf("got %x, %v at the end, want nothing", rest, err)
				}
				if took := time.Since(began); took != defaultTimeout.Std() {
					t.Errorf("took %s, want %s", took, defaultTimeout)
				}
				<-done
			})
		})
	}
}

// What the client sends while its target is dialled waits in the connection.
func TestPayloadAfterRequest(t *testing.T) {
	client, conn := tcpPair(t)
	if _, err := client.Write([]byte(hello + toIPv4)); err != nil {
		t.Fatal(err)
	}
	var asked coretest.Asked
	err := new(handshaker).Handshake(t.Context(), conn, core.Client{}, &asked)
	if err != nil || asked.Request.Payload != nil {
		t.Fatalf("got %v, request %+v, want no error and no payload", err, asked.Request)
	}
	tell(t, client, "early", "\x05\x00")
	s, err := asked.Pending.Accept()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(s, got); err != nil || string(got) != "early" {
		t.Errorf("got %q, %v, want %q", got, err, "early")
	}
}
