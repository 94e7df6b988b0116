package ss

import (
	"io"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/inbound"
)

// TestRefusedUpload has the target of a client away that is uploading 8 MiB: the client
// sees the mark and an end in order, and no write of it fails.
func TestRefusedUpload(t *testing.T) {
	s := newServer(t, newCipher(t), inbound.Rejection{})
	client, conn := coretest.TCPPair(t)
	coretest.Write(t, client, hello(t, newCipher(t), "the beginning of an upload"))
	var asked coretest.Asked
	if err := s.Handshake(t.Context(), conn, core.Client{}, &asked); err != nil {
		t.Fatal(err)
	}
	coretest.Together(func() {
		asked.Pending.Reject(io.ErrUnexpectedEOF)
	}, func() {
		said := make([]byte, 1<<10)
		n := 0
		for {
			k, err := client.Read(said)
			if n += k; err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("the answer: %v", err)
				break
			}
		}
		if n == 0 {
			t.Error("got no mark before the end")
		}
		for range 128 {
			if _, err := client.Write(make([]byte, 64<<10)); err != nil {
				t.Errorf("the upload: %v", err)
				break
			}
		}
		client.CloseWrite()
	})
	if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end: got %d, %v, want 0, EOF", n, err)
	}
}
