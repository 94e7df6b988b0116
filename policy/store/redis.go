package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is a Store that the nodes of a fleet share.
//
// An entry is stored as a string under the key "umbra:" + Entry.Key, which expires
// with the entry:
//
//	+-------------+----------------+----------+
//	|     at      |     until      |  value   |
//	| 20 digits,  | 20 digits,     | variable |
//	| Unix ns     | Unix ms        |          |
//	+-------------+----------------+----------+
//
// Each change is published on one channel, as the size of the Redis key in four
// digits, the Redis key and the string.
type Redis struct {
	address address
	channel string // contains the database number: a server's databases share channels

	mu     sync.Mutex
	client redis.UniversalClient // guarded by mu; nil until the first call and after Close
}

var _ Store = (*Redis)(nil)

const (
	keyPrefix = "umbra:"
	digits    = 20
	entryHead = 2 * digits

	// dialTimeout and answerTimeout are short: callers go on without the store.
	dialTimeout   = time.Second
	answerTimeout = 2 * time.Second
	// listenTimeout is the time without a change after which Watch sends a ping.
	listenTimeout = 5 * time.Second
	// poolSize is the number of concurrent calls.
	poolSize = 4
	// scanCount is the number of keys that one SCAN call requests.
	scanCount = 1000
)

// putScript stores an entry unless there is a newer one, and publishes the change.
// Times have a fixed number of digits and are compared as text: the numbers of Redis'
// Lua have too few digits. A stored string that is not an entry is overwritten.
var putScript = redis.NewScript(`
local old = redis.pcall('GET', KEYS[1])
if type(old) == 'string' and string.find(old, '^' .. string.rep('%d', 40)) and
	string.sub(old, 1, 20) >= string.sub(ARGV[1], 1, 20) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
redis.call('PUBLISH', ARGV[3], string.format('%04d', #KEYS[1]) .. KEYS[1] .. ARGV[1])
return 1`)

// OpenRedis returns the store on the servers at an address such as
// "redis://:PASSWORD@HOST:PORT/DB"; see Place. It does not connect yet. It logs a warning
// for a password file that others may read.
func OpenRedis(text string, log *slog.Logger) (*Redis, error) {
	a, err := parseAddress(text)
	if err != nil {
		return nil, err
	}
	if err := a.checkFiles(log); err != nil {
		return nil, err
	}
	redis.SetLogger(discardLogger{}) // errors are returned, and logged once by the caller
	return &Redis{address: a, channel: fmt.Sprintf("umbra:changes:%d", a.db)}, nil
}

// open returns the client, and creates it if there is none.
func (r *Redis) open() (redis.UniversalClient, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client == nil {
		c, err := r.address.client()
		if err != nil {
			return nil, err
		}
		r.client = c
	}
	return r.client, nil
}

// appendRedis appends the encoding of an entry in Redis to b.
func appendRedis(b []byte, e Entry) []byte {
	b = fmt.Appendf(b, "%020d%020d", e.At.UnixNano(), e.Until.UnixMilli())
	return append(b, e.Value...)
}

// parseRedis is the inverse of appendRedis. key is the Redis key.
func parseRedis(key, s string) (Entry, bool) {
	key, ours := strings.CutPrefix(key, keyPrefix)
	if !ours || len(s) < entryHead {
		return Entry{}, false
	}
	at, err := strconv.ParseInt(s[:digits], 10, 64)
	until, err2 := strconv.ParseInt(s[digits:entryHead], 10, 64)
	if err != nil || err2 != nil || at <= 0 || until <= 0 {
		return Entry{}, false
	}
	e := Entry{Key: key, Value: []byte(s[entryHead:]), At: time.Unix(0, at), Until: time.UnixMilli(until)}
	return e, e.check() == nil
}

// parseChange parses a message that putScript has published.
func parseChange(s string) (Entry, bool) {
	const head = 4
	if len(s) < head {
		return Entry{}, false
	}
	size, err := strconv.ParseUint(s[:head], 10, 16)
	if s = s[head:]; err != nil || int(size) > len(s) {
		return Entry{}, false
	}
	return parseRedis(s[:size], s[size:])
}

// Put stores an entry and notifies the other nodes.
func (r *Redis) Put(ctx context.Context, e Entry) error {
	if err := e.check(); err != nil {
		return err
	}
	if e.expired(time.Now()) {
		return nil
	}
	client, err := r.open()
	if err != nil {
		return err
	}
	return explain(putScript.Run(ctx, client, []string{keyPrefix + e.Key}, appendRedis(nil, e), e.Until.UnixMilli(), r.channel).Err())
}

// escape returns a pattern that matches prefix literally.
func escape(prefix string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(prefix)
}

// Watch calls changed with each entry that is put under prefix.
func (r *Redis) Watch(ctx context.Context, prefix string, ready func(), changed func(Entry)) error {
	client, err := r.open()
	if err != nil {
		return err
	}
	sub := client.Subscribe(ctx, r.channel)
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { sub.Close() })()
	waiting := false // a ping has not been answered yet
	for {
		m, err := sub.ReceiveTimeout(ctx, listenTimeout)
		var timeout net.Error
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &timeout) && timeout.Timeout() && !waiting:
			if err := sub.Ping(ctx); err != nil {
				return explain(err)
			}
			waiting = true
			continue
		case err != nil:
			return explain(err)
		}
		waiting = false
		switch m := m.(type) {
		case *redis.Subscription:
			ready()
		case *redis.Message:
			if e, ok := parseChange(m.Payload); ok && strings.HasPrefix(e.Key, prefix) {
				changed(e)
			}
		}
	}
}

// Claim reserves a key.
func (r *Redis) Claim(ctx context.Context, key string, until time.Time) (bool, error) {
	e := Entry{Key: key, Value: []byte{1}, At: time.Now(), Until: until}
	if err := e.check(); err != nil {
		return false, err
	}
	client, err := r.open()
	if err != nil {
		return false, err
	}
	err = client.Do(ctx, "SET", keyPrefix+key, appendRedis(nil, e), "PXAT", until.UnixMilli(), "NX").Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, explain(err)
}

// Run closes the connections when ctx ends. A later call opens new ones.
func (r *Redis) Run(ctx context.Context) {
	<-ctx.Done()
	_ = r.Close() // the connections are closed even on an error
}

// Close closes the connections.
func (r *Redis) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client == nil {
		return nil
	}
	err := r.client.Close()
	r.client = nil
	return err
}

// discardLogger discards the library's log.
type discardLogger struct{}

func (discardLogger) Printf(context.Context, string, ...any) {}
