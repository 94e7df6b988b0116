package ending_test

import (
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/ending"
)

// TestEndAs ends connections as gates ask for: what the client sees, and when.
func TestEndAs(t *testing.T) {
	const deadline = time.Minute
	for name, tc := range map[string]struct {
		end  core.Ending
		ours bool // else it is the inbound's affair
		took time.Duration
		err  error
	}{
		"as failed": {core.EndAsFailed, false, 0, nil},
		"drained":   {core.EndDrained, true, deadline, nil},
		"closed":    {core.EndClosed, true, 0, nil},
		"reset":     {core.EndReset, true, 0, syscall.ECONNRESET},
		"tarpit":    {core.EndTarpit, true, time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, conn := coretest.Pipe()
				defer client.Close()
				_ = conn.SetDeadline(time.Now().Add(deadline))
				began := time.Now()
				refusal := &core.Refusal{Err: errors.New("banned"), End: tc.end}
				if !errors.Is(refusal, core.ErrDenied) || refusal.Error() != "banned" {
					t.Errorf("got %v, want an ErrDenied that says why", refusal)
				}
				done := make(chan bool, 1)
				go func() {
					done <- ending.Refuse(conn, refusal)
					conn.Close()
				}()
				said, err := io.ReadAll(client)
				took := time.Since(began)
				if ours := <-done; ours != tc.ours {
					t.Errorf("got %t, want %t", ours, tc.ours)
				}
				if len(said) > 0 || !errors.Is(err, tc.err) || took != tc.took {
					t.Errorf("got %d bytes and %v after %s, want none and %v after %s", len(said), err, took, tc.err, tc.took)
				}
			})
		})
	}
	if ending.Refuse(nil, core.ErrDenied) {
		t.Error("an error that says nothing of the end was taken for one that does")
	}
}

// TestTarpit: a client that sends is kept, a byte a second is taken from it, and a
// deadline that is set meanwhile ends it.
func TestTarpit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, conn := coretest.Pipe()
		defer client.Close()
		ended := make(chan struct{})
		go func() { defer close(ended); ending.Tarpit(conn) }()
		if _, err := client.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100*time.Second + time.Millisecond)
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("it ended by itself")
		default:
		}
		_ = conn.SetDeadline(time.Now().Add(-time.Second))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		select {
		case <-ended:
		default:
			t.Error("a deadline did not end it")
		}
		_ = conn.SetDeadline(time.Time{})
		left := 0
		for b := make([]byte, 100); ; {
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			n, err := conn.Read(b)
			if left += n; errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
		}
		if taken := 1000 - left; taken < 99 || taken > 103 {
			t.Errorf("took %d bytes in 100 s, want one a second", taken)
		}
	})
}
