package app

import (
	"fmt"
	"log/slog"

	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/logging"
)

// openLog opens the log of a service.
func (s *service) openLog(to config.Log) error {
	sink, err := s.openSink(to)
	if err != nil {
		return err
	}
	made := newSetting()
	s.queue = logging.NewQueue(sink, to.Queue, made.reportMissing)
	s.tail = &tail{next: s.queue}
	s.logs = made.logs(s.tail)
	s.logs.set(to)
	s.output = to
	s.log = slog.New(s.logs)
	if s.standIn != nil {
		s.log = slog.New(calm{s.logs, s.standIn})
	}
	return nil
}

// adoptLog changes the log to what a file says.
func (s *service) adoptLog(to config.Log) {
	s.logs.set(to)
	s.queue.Resize(to.Queue)
	if to.Output == s.output.Output && to.JournalLevels == s.output.JournalLevels {
		return
	}
	sink, err := s.openSink(to)
	if err != nil {
		s.log.Error("log output not changed", slog.Any("err", err))
		return
	}
	s.queue.Use(sink)
	s.output = to
}

// openSink opens what [log] names.
func (s *service) openSink(to config.Log) (sink logging.Sink, err error) {
	switch to.Output {
	case config.OutputSyslog:
		sink, err = logging.OpenSyslog()
	case config.OutputStderr:
		if to.JournalLevels == config.JournalAuto && logging.IsJournal(s.Stderr) {
			return logging.NewJournal(s.Stderr), nil
		}
		return logging.NewStream(s.Stderr), nil
	default:
		sink, err = logging.OpenFile(string(to.Output))
	}
	if err != nil {
		return nil, fmt.Errorf("[log] output: %w", err)
	}
	return sink, nil
}
