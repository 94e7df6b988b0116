package users

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core/option"
)

// The list of the old file changes between the building and the serving of a new one. It must
// not cut a user who is only in the new file.
func TestRevokedBeforeServed(t *testing.T) {
	path := write(t, "", `{"a": "1"}`)
	synctest.Test(t, func(t *testing.T) {
		e := env(nil)
		following(t, e, Options{UsersFile: path, CutRemoved: true})
		next, err := Open(e, Options{Users: map[string]option.Text{"z": "9"}, CutRemoved: true}) // a reload builds
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, `{"b": "1"}`)
		time.Sleep(time.Second) // the old file changes before the new generation serves
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go next.Run(ctx, func([]User) error { return nil })
		synctest.Wait()
		cut := held(t, next.Grant(next.Users()[0]))
		synctest.Wait()
		if len(cut) > 0 {
			t.Error("a user of the new file was cut for good before it was served")
		}
	})
}
