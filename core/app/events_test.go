package app

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestReadEvents(t *testing.T) {
	const sent = ": umbra\n\nevent: snapshot\ndata: {}\n\nevent:journey\ndata:1\ndata: 2\nid: 7\n\ndata: plain\n\nevent: empty\n\nevent: cut\ndata: off"
	var got []string
	err := readEvents(strings.NewReader(sent), func(event string, data []byte) error {
		got = append(got, event+"="+string(data))
		return nil
	})
	if want := []string{"snapshot={}", "journey=1\n2", "=plain"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q and %v, want %q", got, err, want)
	}
	if err := readEvents(strings.NewReader(sent), func(string, []byte) error { return io.ErrClosedPipe }); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("an error of the function: got %v", err)
	}
}

// A stream of any bytes ends, and no event has more than was sent.
func FuzzReadEvents(f *testing.F) {
	f.Add("event: journey\ndata: {\"number\":1}\n\n: x\r\n\r\ndata\n\n")
	f.Fuzz(func(t *testing.T, sent string) {
		total := 0
		_ = readEvents(strings.NewReader(sent), func(event string, data []byte) error {
			total += len(data)
			return nil
		})
		if total > len(sent) {
			t.Errorf("%d bytes of %d", total, len(sent))
		}
	})
}
