package accesslog

import (
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core/logging"
)

const (
	lastLines = 2 * time.Second // how long the end waits for the last lines to be written
	sayEvery  = time.Minute     // the least time between two log lines about lines that are lost
)

// lines is where the lines of the logs of one name go, before a reload and after it. The
// zero value is ready.
type lines struct {
	opening sync.Mutex // held while the output is opened, which may take a while

	mu     sync.Mutex
	logs   int            // that have joined and not left; guarded by mu, as all that follows
	latest *Log           // the last one that has joined
	queue  *logging.Queue // nil while nothing is open
	told   *report        // of queue
	output Output         // of queue
}

// join counts a log, until it leaves. Nothing is opened before there is a line, or a Run: a
// file may be read for other ends than to serve it.
func (l *lines) join(log *Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logs++
	l.latest = log
}

// leave closes the output after the last log.
func (l *lines) leave() {
	l.mu.Lock()
	l.logs--
	var closing *logging.Queue
	told := l.told
	if l.logs == 0 {
		closing, l.queue = l.queue, nil
	}
	l.mu.Unlock()
	if closing != nil && closing.Close(lastLines) {
		told.say(nil)
	}
}

// open opens the output of a log, again if it is open already: a reload may follow the
// rotation of a file. A log that was replaced meanwhile opens nothing.
func (l *lines) open(by *Log) {
	l.opening.Lock()
	defer l.opening.Unlock()
	l.mu.Lock()
	if l.latest != by {
		l.mu.Unlock()
		return
	}
	if l.queue == nil {
		l.start(by)
	}
	queue, same := l.queue, l.output == by.options.Output
	l.output = by.options.Output
	l.mu.Unlock()
	queue.Resize(by.options.Queue)
	if same {
		queue.Reopen()
		return
	}
	next := newSink(by)
	_ = next.Reopen() // the sink says it
	queue.Use(next)
}

// start makes the queue. mu is held.
func (l *lines) start(by *Log) {
	l.told = &report{log: by.log}
	l.queue, l.output = logging.NewQueue(newSink(by), by.options.Queue, l.told.lost), by.options.Output
}

// write passes a line on. It does not block.
func (l *lines) write(by *Log, line []byte) {
	l.mu.Lock()
	if l.queue == nil && l.logs > 0 {
		l.start(by)
	}
	queue := l.queue
	l.mu.Unlock()
	if queue != nil {
		queue.WriteLine(slog.LevelInfo, line)
	}
}

// report tells the log of the process of lines that are lost. The writer of the queue has it,
// and after its end whoever closed the queue.
type report struct {
	log   *slog.Logger
	said  time.Time
	lines int // that were not told
}

// lost implements logging.Report. It writes nothing into the access log.
func (r *report) lost(lines int, cause error) (slog.Level, []byte) {
	r.lines += lines // none if it could not be opened again, which the sink has said
	if cause != nil || time.Since(r.said) >= sayEvery {
		r.say(cause)
	}
	return 0, nil
}

// say tells of the lines that were not told yet.
func (r *report) say(cause error) {
	if r.lines == 0 {
		return
	}
	why := slog.String("err", "the disk or the reader was too slow; queue bounds how many lines wait")
	if cause != nil {
		why = slog.Any("err", cause)
	}
	r.log.Warn("lines of the access log lost", slog.Int("lines", r.lines), why)
	r.said, r.lines = time.Now(), 0
}

// sink writes to the output of a log. What fails is said once, and again when it is over.
type sink struct {
	to     logging.Sink // nil for a file that was not opened yet
	output Output
	log    *slog.Logger
	fails  bool
}

var _ logging.Sink = (*sink)(nil)

func newSink(by *Log) *sink {
	s := &sink{output: by.options.Output, log: by.log}
	switch s.output {
	case Stdout:
		s.to = logging.NewStream(os.Stdout)
	case Stderr:
		s.to = logging.NewStream(os.Stderr)
	}
	return s
}

// WriteLine writes a line.
func (s *sink) WriteLine(level slog.Level, line []byte) error {
	if s.to == nil {
		if err := s.Reopen(); err != nil {
			return err
		}
	}
	err := s.to.WriteLine(level, line)
	s.say(err)
	return err
}

// Reopen opens a file again, or for the first time.
func (s *sink) Reopen() error {
	if s.to != nil {
		err := s.to.Reopen()
		if err != nil {
			s.log.Error("access log not opened again, the old file stays in use", slog.Any("err", err))
		}
		return err
	}
	f, err := logging.OpenFile(string(s.output))
	if err != nil {
		s.say(err)
		return err
	}
	s.to = f
	return nil
}

// say tells the log of the process of the first failure, and of the first line after it.
func (s *sink) say(err error) {
	switch {
	case err != nil && !s.fails:
		s.log.Error("access log can't be written, its lines are lost until it can", slog.String("output", string(s.output)), slog.Any("err", err))
	case err == nil && s.fails:
		s.log.Info("access log is written again", slog.String("output", string(s.output)))
	}
	s.fails = err != nil
}

// Close closes a file.
func (s *sink) Close() error {
	if s.to == nil {
		return nil
	}
	return s.to.Close()
}
