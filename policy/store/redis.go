package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Redis is a Store that the nodes of a fleet share.
//
// An entry is a string under "umbra:" and its key, which ends when the entry does:
//
//	+-------------+----------------+----------+
//	|     at      |     until      |  value   |
//	| 20 digits,  | 20 digits,     | variable |
//	| Unix ns     | Unix ms        |          |
//	+-------------+----------------+----------+
//
// Each change is published on one channel, as the size of the string's key in four
// digits, that key and the string.
type Redis struct {
	options *redis.Options
	channel string // the server's databases share their channels, so it has the number

	mu     sync.Mutex
	client *redis.Client // guarded by mu; nil while nobody asks for anything
}

var _ Store = (*Redis)(nil)

const (
	keyPrefix = "umbra:"
	digits    = 20
	entryHead = 2 * digits

	// dialTimeout and answerTimeout are short: whoever waits goes on without.
	dialTimeout   = time.Second
	answerTimeout = 2 * time.Second
	// listenTimeout is after how long without a change the server is asked whether it
	// is still there.
	listenTimeout = 5 * time.Second
	// poolSize is how many calls there can be at once.
	poolSize = 4
	// scanCount is how many keys are asked for at a time.
	scanCount = 1000
)

// putScript keeps an entry unless there is a newer one, and tells the others. Times
// have a fixed number of digits, so they compare as texts: a number of Redis' Lua has
// too few of them. What is there and no entry makes way.
var putScript = redis.NewScript(`
local old = redis.pcall('GET', KEYS[1])
if type(old) == 'string' and string.find(old, '^' .. string.rep('%d', 40)) and
	string.sub(old, 1, 20) >= string.sub(ARGV[1], 1, 20) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
redis.call('PUBLISH', ARGV[3], string.format('%04d', #KEYS[1]) .. KEYS[1] .. ARGV[1])
return 1`)

// OpenRedis returns the store on the server at an address such as
// "redis://:PASSWORD@HOST:PORT/DB". It reaches nothing yet.
func OpenRedis(address string) (*Redis, error) {
	o, err := redisOptions(address)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(silent{}) // what fails is returned, and told once by whoever asked
	return &Redis{options: o, channel: fmt.Sprintf("umbra:changes:%d", o.DB)}, nil
}

// redisOptions reads the address of a server. Its error shows nothing of the address,
// which may have a password.
func redisOptions(address string) (*redis.Options, error) {
	o, err := redis.ParseURL(address)
	if u, _ := url.Parse(address); err != nil || u.Host == "" && u.Path == "" {
		return nil, errors.New("invalid Redis address: want redis://[:PASSWORD@]HOST:PORT[/DB]")
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, answerTimeout, answerTimeout
	o.ContextTimeoutEnabled = true
	o.DialerRetries, o.MaxRetries = 1, -1 // whoever calls tries again, and knows what else has changed by then
	o.PoolSize, o.MinIdleConns = poolSize, 0
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o, nil
}

// open returns the client.
func (r *Redis) open() *redis.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client == nil {
		r.client = redis.NewClient(r.options)
	}
	return r.client
}

// appendRedis appends the form of an entry to b.
func appendRedis(b []byte, e Entry) []byte {
	b = fmt.Appendf(b, "%020d%020d", e.At.UnixNano(), e.Until.UnixMilli())
	return append(b, e.Value...)
}

// parseRedis is the inverse, for the entry of a key.
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

// parseChange reads what putScript publishes.
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

// Put keeps an entry and tells the other nodes.
func (r *Redis) Put(ctx context.Context, e Entry) error {
	if err := e.check(); err != nil {
		return err
	}
	if e.over(time.Now()) {
		return nil
	}
	return putScript.Run(ctx, r.open(), []string{keyPrefix + e.Key}, appendRedis(nil, e), e.Until.UnixMilli(), r.channel).Err()
}

// Load gives each the entries under prefix.
func (r *Redis) Load(ctx context.Context, prefix string, each func(Entry)) error {
	client := r.open()
	scan := client.Scan(ctx, 0, keyPrefix+escape(prefix)+"*", scanCount).Iterator()
	var keys []string
	for more := true; more; {
		if more = scan.Next(ctx); more {
			keys = append(keys, scan.Val())
		}
		if len(keys) == 0 || more && len(keys) < scanCount {
			continue
		}
		values, err := client.MGet(ctx, keys...).Result()
		if err != nil {
			return err
		}
		for i, v := range values {
			if s, there := v.(string); there {
				if e, ok := parseRedis(keys[i], s); ok {
					each(e)
				}
			}
		}
		keys = keys[:0]
	}
	return scan.Err()
}

// escape makes a prefix mean itself in a pattern.
func escape(prefix string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(prefix)
}

// Watch calls changed with what is put under prefix.
func (r *Redis) Watch(ctx context.Context, prefix string, ready func(), changed func(Entry)) error {
	sub := r.open().Subscribe(ctx, r.channel)
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { sub.Close() })()
	waiting := false // for the answer to a ping
	for {
		m, err := sub.ReceiveTimeout(ctx, listenTimeout)
		var timeout net.Error
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &timeout) && timeout.Timeout() && !waiting:
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			waiting = true
			continue
		case err != nil:
			return err
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

// Claim takes a key.
func (r *Redis) Claim(ctx context.Context, key string, until time.Time) (bool, error) {
	e := Entry{Key: key, Value: []byte{1}, At: time.Now(), Until: until}
	if err := e.check(); err != nil {
		return false, err
	}
	err := r.open().Do(ctx, "SET", keyPrefix+key, appendRedis(nil, e), "PXAT", until.UnixMilli(), "NX").Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

// Run keeps the connections until ctx ends. A call after that opens them anew.
func (r *Redis) Run(ctx context.Context) {
	<-ctx.Done()
	_ = r.Close() // they are gone either way
}

// Close ends the connections.
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

// silent is a log of the library that says nothing.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
