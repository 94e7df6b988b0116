package pipeline_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// Join carries both ways, passes on the end of each, and closes both.
func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, client := coretest.Pipe()
		upstream, b := coretest.Pipe()
		f, done := new(core.Flow), make(chan error, 1)
		go func() { done <- pipeline.NewJoiner(time.Minute).Join(f, client, upstream) }()
		for _, way := range [][2]core.Stream{{a, b}, {b, a}} {
			if _, err := way[0].Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			_ = way[0].CloseWrite()
			if got, err := io.ReadAll(way[1]); string(got) != "hello" || err != nil {
				t.Errorf("got %q, %v, want hello", got, err)
			}
		}
		if err := <-done; err != nil || f.Up.Load() != 5 || f.Down.Load() != 5 {
			t.Errorf("got %v, %d up, %d down, want 5 each", err, f.Up.Load(), f.Down.Load())
		}
	})
}

// What moves is left alone; what moves nothing for the idle time, at most twice as
// long, is cut.
func TestJoinIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, client := coretest.Pipe()
		upstream, b := coretest.Pipe()
		done := make(chan error, 1)
		go func() { done <- pipeline.NewJoiner(time.Minute).Join(new(core.Flow), client, upstream) }()
		for range 10 {
			time.Sleep(50 * time.Second)
			if _, err := a.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(b, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if err := <-done; !errors.Is(err, core.ErrIdle) || time.Since(began) > 2*time.Minute {
			t.Errorf("got %v after %s, want %v within 2 min", err, time.Since(began), core.ErrIdle)
		}
		if _, err := a.Read(make([]byte, 1)); err == nil {
			t.Error("the client is still open")
		}
	})
}
