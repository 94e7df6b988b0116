package journey

import "sync/atomic"

// maxUnread is how many records wait for a reader.
const maxUnread = 256

// Reader gets records as their connections end. One that does not read is dropped.
type Reader struct {
	filter  Filter
	records chan *Record
	dropped atomic.Bool
}

// Read returns a reader of the records that match, until it is closed.
func (r *Recorder) Read(f Filter) *Reader {
	reader := &Reader{filter: f, records: make(chan *Record, maxUnread)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readers[reader] = true
	return reader
}

// Close ends a reader.
func (r *Recorder) Close(reader *Reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.readers, reader)
}

// Records returns the channel of the records.
func (r *Reader) Records() <-chan *Record { return r.records }

// Dropped reports whether records were lost because they were not read.
func (r *Reader) Dropped() bool { return r.dropped.Load() }

// add passes a record on, or drops the reader.
func (r *Reader) add(rec *Record) {
	if !r.filter.Matches(rec) || r.dropped.Load() {
		return
	}
	select {
	case r.records <- rec:
	default:
		r.dropped.Store(true)
		close(r.records)
	}
}
