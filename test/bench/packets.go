//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// silence is the time without an echo after which all expected echoes of a flow count as lost.
const silence = 200 * time.Millisecond

// packetTest is a closed loop of datagrams over UDP associations.
type packetTest struct {
	name          string
	payload       int // bytes
	flows, window int // associations, datagrams in flight in each
	rate          goal
}

func packetTests() []packetTest {
	return []packetTest{
		{"UDP 512 B, 1 flow", 512, 1, 32, atLeast(1.5)},
		{"UDP 1400 B, 1 flow", 1400, 1, 32, atLeast(1.5)},
		{"UDP 512 B, 64 flows", 512, 64, 1, atLeast(1.2)},
		{"UDP 1400 B, 64 flows", 1400, 64, 1, atLeast(1.2)},
	}
}

// The names of the figures of a test.
func (t packetTest) rateName() string { return t.name + ", packets/s" }
func (t packetTest) costName() string { return t.name + ", CPU per echo, µs" }
func (t packetTest) lossName() string { return t.name + ", loss in the worst round, %" }

// measurePackets runs the UDP tests of one chain once.
func measurePackets(ctx context.Context, o options, p *pair, s *sink, add func(string, float64)) error {
	for _, t := range packetTests() {
		if err := verify(p.socks, s.addr, t.payload); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	for _, t := range packetTests() {
		if err := t.measure(ctx, o, p, s, add); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// measure warms up for a tenth of the time, in which only losses are counted.
func (t packetTest) measure(ctx context.Context, o options, p *pair, s *sink, add func(string, float64)) error {
	l, err := t.open(p, s)
	if err != nil {
		return err
	}
	defer l.close()
	if _, err := l.run(ctx, o.packets/10); err != nil {
		return err
	}
	n, took, cpu, err := clock(p, func() (int64, error) { return l.run(ctx, o.packets) })
	if err != nil {
		return err
	}
	if err := l.drain(); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("no echo")
	}
	add(t.rateName(), float64(n)/took.Seconds())
	add(t.costName(), float64(cpu.Microseconds())/float64(n))
	add(t.lossName(), 100*float64(l.lost)/float64(l.lost+l.echoes))
	return nil
}

// packetLoad is the flows of one test. One goroutine serves them all, so that the load takes
// little CPU time from the measured programs.
type packetLoad struct {
	flows        []*flow
	epoll        int
	ready        []unix.EpollEvent // Fd is an index of flows
	checked      time.Time         // for silence
	echoes, lost int64
}

func (t packetTest) open(p *pair, s *sink) (*packetLoad, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	l := &packetLoad{epoll: epoll, ready: make([]unix.EpollEvent, t.flows)}
	for i := range t.flows {
		f, err := newFlow(p.socks, s.addr, t.window, t.payload)
		if err != nil {
			l.close()
			return nil, err
		}
		l.flows = append(l.flows, f)
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, f.fd, &event); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *packetLoad) close() {
	for _, f := range l.flows {
		f.close()
	}
	unix.Close(l.epoll)
}

// run keeps all windows full for a duration and returns the number of echoes.
func (l *packetLoad) run(ctx context.Context, d time.Duration) (int64, error) {
	before := l.echoes
	for _, f := range l.flows {
		f.lastEcho = time.Now()
		if err := f.fill(); err != nil {
			return 0, err
		}
	}
	for end := time.Now().Add(d); ctx.Err() == nil && time.Now().Before(end); {
		if err := l.step(); err != nil {
			return 0, err
		}
	}
	return l.echoes - before, ctx.Err()
}

// drain stops sending and waits until no echo is expected.
func (l *packetLoad) drain() error {
	for _, f := range l.flows {
		f.window = 0
	}
	for _, f := range l.flows {
		for len(f.due) > 0 {
			if err := l.step(); err != nil {
				return err
			}
		}
	}
	return nil
}

// step waits for echoes, for at most a quarter of silence, and refills the windows.
func (l *packetLoad) step() error {
	n, err := unix.EpollWait(l.epoll, l.ready, int(silence.Milliseconds()/4))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	now := time.Now()
	for i := range n {
		f := l.flows[l.ready[i].Fd]
		m, err := f.receive()
		if err != nil {
			return err
		}
		if m > 0 {
			f.lastEcho = now
			l.echoes += int64(m)
		}
		if err := f.fill(); err != nil {
			return err
		}
	}
	if now.Sub(l.checked) < silence/4 {
		return nil
	}
	l.checked = now
	return l.expire(now)
}

// expire drops the expected echoes of flows that have been silent for too long.
func (l *packetLoad) expire(now time.Time) error {
	for _, f := range l.flows {
		if now.Sub(f.lastEcho) < silence {
			continue
		}
		l.lost += int64(len(f.due))
		clear(f.due)
		f.lastEcho = now
		if err := f.fill(); err != nil {
			return err
		}
	}
	return nil
}
