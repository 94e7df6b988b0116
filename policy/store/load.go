package store

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Load calls each with the entries under prefix.
func (r *Redis) Load(ctx context.Context, prefix string, each func(Entry)) error {
	client, err := r.open()
	if err != nil {
		return err
	}
	pattern := keyPrefix + escape(prefix) + "*"
	nodes, isCluster := client.(*redis.ClusterClient)
	if !isCluster {
		return explain(scan(ctx, client, pattern, func(keys []string) error { return loadKeys(ctx, client, keys, each) }))
	}
	var mu sync.Mutex // the nodes are asked at the same time
	return explain(nodes.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return scan(ctx, node, pattern, func(keys []string) error {
			mu.Lock()
			defer mu.Unlock()
			return loadSlots(ctx, nodes, keys, each)
		})
	}))
}

// scan calls load with the keys of a server that match a pattern, some at a time.
func scan(ctx context.Context, server redis.Cmdable, pattern string, load func(keys []string) error) error {
	keys := server.Scan(ctx, 0, pattern, scanCount).Iterator()
	var some []string
	for more := true; more; {
		if more = keys.Next(ctx); more {
			some = append(some, keys.Val())
		}
		if len(some) == 0 || more && len(some) < scanCount {
			continue
		}
		if err := load(some); err != nil {
			return err
		}
		some = some[:0]
	}
	return keys.Err()
}

// loadKeys calls each with the entries at some keys.
func loadKeys(ctx context.Context, client redis.Cmdable, keys []string, each func(Entry)) error {
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
	return nil
}

// loadSlots is loadKeys for a cluster, where one MGET takes the keys of one slot alone.
func loadSlots(ctx context.Context, client redis.Cmdable, keys []string, each func(Entry)) error {
	all, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.Get(ctx, key)
		}
		return nil
	})
	if len(all) != len(keys) {
		return err
	}
	for i, cmd := range all {
		switch err := cmd.Err(); {
		case errors.Is(err, redis.Nil):
		case err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"): // of other software
		case err != nil:
			return err
		default:
			if e, ok := parseRedis(keys[i], cmd.(*redis.StringCmd).Val()); ok {
				each(e)
			}
		}
	}
	return nil
}
