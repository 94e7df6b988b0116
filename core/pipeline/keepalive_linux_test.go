package pipeline_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/pipeline"
)

// Keep-alive has a time of its own, on both sides.
func TestKeepAlive(t *testing.T) {
	for _, tc := range []struct {
		name  string
		every time.Duration
		want  [3]int // SO_KEEPALIVE, and seconds before the first probe and between two
	}{
		{"another time", time.Minute, [3]int{1, 60, 60}},
		{"off", pipeline.Never, [3]int{0, 15, 15}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.cfg.KeepAlive = tc.every
			s.Pipeline = pipeline.New(s.cfg)
			v := s.visit(t, coretest.Pairs[1].Make)
			target, upstream := coretest.TCPPair(t)
			s.dialer.Stream = func(context.Context, *core.Request) (core.Stream, error) { return upstream, nil }
			s.serve(t, v)
			v.reply(t, nil)
			s.Sweep()
			for _, side := range []core.Stream{v.near, upstream} {
				if got := keepAliveOf(t, side.(*net.TCPConn)); got != tc.want {
					t.Errorf("SO_KEEPALIVE and its times: got %v, want %v", got, tc.want)
				}
			}
			v.far.Close()
			target.Close()
			s.gate.WaitEnds(t, 1)
		})
	}
}

// keepAliveOf returns whether keep-alive is on, and its two times in seconds.
func keepAliveOf(t *testing.T, conn *net.TCPConn) (is [3]int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		is[0], _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		is[1], _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
		is[2], _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
	})
	return is
}

// Without an idle timeout a silent stream stays.
func TestNeverIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.cfg.IdleTimeout = pipeline.Never
		s.Pipeline = pipeline.New(s.cfg)
		v := s.visit(t, memory)
		s.serve(t, v)
		v.reply(t, nil)
		target := s.dialer.Accept(t)
		time.Sleep(1000 * time.Hour)
		coretest.Write(t, v.far, []byte("x"))
		coretest.Read(t, target, []byte("x"))
		v.far.Close()
		target.Close()
		s.gate.WaitEnds(t, 1)
	})
}
