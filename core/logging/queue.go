// Package logging is where the lines of a log go: a bounded queue, and behind it a standard
// stream, a file or the syslog daemon. A program that logs never waits for a reader of the
// log.
package logging

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Sink is where lines go. A Queue calls its methods from one goroutine. WriteLine may
// block; it keeps no part of line, which ends in '\n'.
type Sink interface {
	WriteLine(level slog.Level, line []byte) error
	// Reopen opens the sink again where another program may have replaced what is
	// behind it, such as a file. On an error the old one stays in use.
	Reopen() error
	Close() error
}

// lineSize is the size in bytes of a line that a queue is sized for.
const lineSize = 512

// retained is the size in bytes of the largest buffer that an empty queue keeps.
const retained = 64 << 10

// Report returns the line that says that lines are missing, and of what failed. cause is nil
// if the sink was too slow. With 0 lines it says that the sink could not be opened again. An
// empty line is not written: it has been said elsewhere.
type Report func(lines int, cause error) (level slog.Level, line []byte)

// Queue passes lines to a Sink in order. If the sink is slower than the program the queue
// fills up, and further lines are dropped and counted. The count is logged as soon as the
// sink takes lines again.
type Queue struct {
	report Report
	wake   chan struct{} // 1
	ended  chan struct{} // closed after the last line

	unwritten atomic.Int64 // bytes that the writer has taken and not written

	mu     sync.Mutex
	batch  batch // guarded by mu, as all that follows
	bound  int   // bytes
	lost   int   // lines that were dropped and not told
	next   Sink  // takes the place of the sink after batch; nil for none
	reopen bool  // the sink is to be opened again
	closed bool
}

// batch is a list of lines.
type batch struct {
	text  []byte
	lines []line
}

type line struct {
	end   int // in text
	level slog.Level
}

// NewQueue returns a queue of lines for sink. Close ends the queue.
func NewQueue(sink Sink, lines int, report Report) *Queue {
	q := &Queue{report: report, wake: make(chan struct{}, 1), ended: make(chan struct{}), bound: lines * lineSize}
	go q.run(sink)
	return q
}

// WriteLine adds a line, or counts it as dropped. It never blocks.
func (q *Queue) WriteLine(level slog.Level, text []byte) {
	q.mu.Lock()
	if q.closed || len(q.batch.text)+int(q.unwritten.Load())+len(text) > q.bound {
		q.lost++
	} else {
		q.batch.text = append(q.batch.text, text...)
		q.batch.lines = append(q.batch.lines, line{len(q.batch.text), level})
	}
	q.mu.Unlock()
	q.signal()
}

// signal wakes the writer.
func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it is awake
	}
}

// Waiting returns how many bytes of lines are not written yet.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.batch.text) + int(q.unwritten.Load())
}

// Resize sets the bound to a number of lines.
func (q *Queue) Resize(lines int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bound = lines * lineSize
}

// Use replaces the sink, which is closed after the lines that are queued already.
func (q *Queue) Use(sink Sink) {
	q.mu.Lock()
	replaced := q.next
	q.next = sink
	q.mu.Unlock()
	if replaced != nil {
		_ = replaced.Close()
	}
	q.signal()
}

// Reopen has the sink opened again.
func (q *Queue) Reopen() {
	q.mu.Lock()
	q.reopen = true
	q.mu.Unlock()
	q.signal()
}

// Close writes the queued lines, for at most the given time, and closes the sink. Later
// lines are dropped. It reports whether all lines were written.
func (q *Queue) Close(patience time.Duration) bool {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-q.ended:
		return true
	case <-late.C: // the writer is stuck in the sink, and ends with the process
		return false
	}
}

// order is what the writer takes from the queue at once.
type order struct {
	batch  batch
	next   Sink
	reopen bool
	closed bool
	lost   int
}

// take takes all that is queued, and gives the empty batch to the queue.
func (q *Queue) take(empty batch) order {
	q.mu.Lock()
	defer q.mu.Unlock()
	o := order{q.batch, q.next, q.reopen, q.closed, q.lost}
	q.batch, q.next, q.reopen, q.lost = empty, nil, false, 0
	q.unwritten.Add(int64(len(o.batch.text)))
	return o
}

// run is the writer.
func (q *Queue) run(sink Sink) {
	defer close(q.ended)
	w := &writer{queue: q, sink: sink}
	defer func() { _ = w.sink.Close() }()
	var empty batch
	for range q.wake {
		o := q.take(empty)
		w.do(o)
		if empty = o.batch.emptied(); o.closed {
			return
		}
	}
}

// emptied returns the memory of b for another batch.
func (b batch) emptied() batch {
	if cap(b.text) > retained {
		return batch{}
	}
	return batch{b.text[:0], b.lines[:0]}
}
