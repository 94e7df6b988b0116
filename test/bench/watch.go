//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// socketEnd is the end of the names of the sockets of [admin].
const socketEnd = ".sock"

// watch reads the metrics of every process with a socket in dir once a second, and its events
// as they come, until ctx ends. The function that it returns waits for that.
func watch(ctx context.Context, dir string) (wait func()) {
	sockets, _ := filepath.Glob(filepath.Join(dir, "*"+socketEnd)) // the pattern is good
	var watching sync.WaitGroup
	for _, socket := range sockets {
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
		watching.Go(func() { read(ctx, client, "/api/v1/events?journeys=1") })
		watching.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for ctx.Err() == nil {
				read(ctx, client, "/metrics")
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
			client.CloseIdleConnections()
		})
	}
	return watching.Wait
}

// read reads an answer to its end.
func read(ctx context.Context, client *http.Client, path string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://umbra"+path, http.NoBody)
	if err != nil {
		return
	}
	resp, err := client.Do(r)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "bench: watch:", err)
	}
}
