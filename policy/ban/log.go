package ban

import (
	"context"
	"log/slog"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// logBan logs a new ban. For an address that may stand for many clients it is a warning,
// with the mend.
func (t *table) logBan(b Ban, now time.Time, more ...slog.Attr) {
	rules, level := t.rules.Load(), slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("client", name(b.Addr)), slog.Duration("for", b.Until.Sub(now).Round(time.Second)),
		slog.String("failures", b.Failure), slog.Int("times", max(1, b.Count)),
	}
	attrs = append(attrs, more...)
	if core.IsPrivate(b.Addr.Addr()) && b.Failure != byHand {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("hint", "a private address: a balancer, a container network or a gateway may stand behind it for many clients; if so, add it to exempt"))
	}
	t.log.LogAttrs(context.Background(), level, rules.Mode.word(), attrs...)
}
