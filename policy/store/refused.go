package store

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrRefused is in the error of a store that answers, and does not do what it is asked:
// its address, its password or its rights are to be corrected.
var ErrRefused = errors.New("refused")

// refusals are what answers of Redis begin with, and what is to be done. The first that
// matches holds.
var refusals = []struct{ prefix, hint string }{
	{"MOVED", "the server is a node of a cluster: write redis+cluster:// in place of redis://"},
	{"ASK", "the server is a node of a cluster: write redis+cluster:// in place of redis://"},
	{"WRONGPASS", "wrong user or password"},
	{"NOAUTH", "the server asks for a password"},
	{"ERR AUTH", "the server has no password, or no users"},
	{"ERR invalid password", "wrong password"},
	{"NOPERM", "the user needs rights for the keys and channels umbra:*"},
	{"READONLY", "the server is a replica: name its master, or ask sentinels by redis+sentinel://"},
	{"ERR DB index", "the server has fewer databases"},
	{"ERR unknown command", "want Redis 6.2 or later; a sentinel is named by redis+sentinel://"},
	{"ERR This instance has cluster support disabled", "the server is no node of a cluster: write redis:// in place of redis+cluster://"},
	{"ERR SELECT is not allowed in cluster mode", "a cluster has database 0 alone"},
}

// explain returns an error of the Redis library with what is to be done about it, if that
// is known.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("%w: %w: is it signed by another authority? give its certificate as ca_file=PATH; for another name, server_name=NAME", ErrRefused, bad)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Errorf("%w: the server speaks no TLS on this port: write redis:// in place of rediss://", ErrRefused)
	}
	text := err.Error()
	answer, ok := errors.AsType[redis.Error](err)
	if ok {
		text = answer.Error()
	}
	for _, r := range refusals {
		if strings.HasPrefix(text, r.prefix) || !ok && strings.Contains(text, ": "+r.prefix) {
			return fmt.Errorf("%w: %s (%s)", ErrRefused, r.hint, r.prefix)
		}
	}
	return err
}

// Trouble returns the log message for a store that failed with err.
func Trouble(err error) string {
	if errors.Is(err, ErrRefused) {
		return "the store refuses; using local state only"
	}
	return "the store is away; using local state only"
}
