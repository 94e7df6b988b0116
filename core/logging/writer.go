package logging

import "log/slog"

// writer is the state of the goroutine that writes the lines of a queue.
type writer struct {
	queue *Queue
	sink  Sink
	lost  int   // lines that were dropped, or that the sink failed to write
	cause error // of the last line that the sink failed to write, until lost is told
	fails bool  // the last line was not written
}

// do writes a batch, and then does what else was asked for.
func (w *writer) do(o order) {
	start := 0
	for _, l := range o.batch.lines {
		if !w.write(l.level, o.batch.text[start:l.end]) {
			w.lost++
		}
		w.queue.unwritten.Add(int64(start - l.end))
		start = l.end
	}
	w.lost += o.lost
	if o.reopen {
		if err := w.sink.Reopen(); err != nil {
			w.tell(0, err)
		} else {
			w.fails = false
		}
	}
	if w.lost > 0 && (!w.fails || o.closed) && w.tell(w.lost, w.cause) {
		w.lost, w.cause = 0, nil
	}
	if o.next != nil {
		_ = w.sink.Close()
		w.sink = o.next
	}
}

// tell writes a report, and returns whether it was told.
func (w *writer) tell(lines int, cause error) bool {
	level, line := w.queue.report(lines, cause)
	return len(line) == 0 || w.write(level, line)
}

// write passes a line to the sink.
func (w *writer) write(level slog.Level, line []byte) bool {
	err := w.sink.WriteLine(level, line)
	if err != nil {
		w.cause = err
	}
	w.fails = err != nil
	return !w.fails
}
