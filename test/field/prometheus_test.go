package field

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/metrics"
	"github.com/umbra-proxy/umbra/test/peer"
)

// prometheus is a running Prometheus.
type prometheus struct {
	*peer.Process
	port int
}

// startPrometheus starts a Prometheus that scrapes a port every second, with the alerts of
// contrib.
func startPrometheus(t testing.TB, web int) *prometheus {
	t.Helper()
	alerts, err := filepath.Abs("../../contrib/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir, p := t.TempDir(), &prometheus{port: peer.FreePort(t)}
	config := fmt.Sprintf(`global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ %q ]
scrape_configs:
  - job_name: umbra
    static_configs: [{ targets: [ %q ] }]
`, alerts, peer.Addr(web))
	path := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Process = peer.Start(t, nil, peer.Need(t, "prometheus"), "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+peer.Addr(p.port))
	p.WaitListen(t, p.port)
	return p
}

// get asks the API, and returns the data of the answer.
func (p *prometheus) get(t testing.TB, path string, into any) error {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Get("http://" + peer.Addr(p.port) + "/api/v1/" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("%w: %.200s", err, text)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s", answer.Error)
	}
	return nil
}

// query returns the values of an expression.
func (p *prometheus) query(t testing.TB, expr string) (values []float64, err error) {
	t.Helper()
	var data struct{ Result []struct{ Value [2]any } }
	if err := p.get(t, "query?query="+url.QueryEscape(expr), &data); err != nil {
		return nil, err
	}
	for _, r := range data.Result {
		v, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// panels returns the queries of the dashboard of contrib, by the titles of the panels.
func panels(t testing.TB) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../contrib/grafana/umbra.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			all[p.Title] = append(all[p.Title], strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$pipeline", ".*").Replace(q.Expr))
		}
	}
	if len(all) < 30 {
		t.Fatalf("got %d panels", len(all))
	}
	return all
}

// TestPrometheus has a real Prometheus scrape a running umbra: each scrape is taken, the
// alerts are loaded, and each panel of the dashboard has series of what the file has.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	socks, web, echo := peer.FreePort(t), peer.FreePort(t), listenEcho(t)
	run(t, fmt.Sprintf(`[pipeline.local]
chain = ["policy.ban", "policy.limit", "inbound.socks5", "resolver.names", "outbound.split"]
[inbound.socks5]
listen = %q
[policy.ban]
store = "file:%s"
[policy.limit]
quota_per_user = "1GiB"
nameless = true
[resolver.names]
kind = "dns"
servers = ["127.0.0.1:%d"]
[outbound.split]
kind = "route"
rules = ["office"]
otherwise = ["outbound.exits"]
[rule.office]
targets = ["192.0.2.0/24"]
chain = ["outbound.none"]
[outbound.none]
kind = "block"
[outbound.exits]
kind = "failover"
members = ["here", "none"]
[outbound.here]
kind = "direct"
allow = ["127.0.0.0/8"]
[admin]
web = %q
users = true
`, peer.Addr(socks), filepath.ToSlash(filepath.Join(t.TempDir(), "bans")), peer.FreePort(t), peer.Addr(web)), socks, web)

	const visits = 5
	for i := range visits {
		c, rep := dialSOCKS(t, socks, 1, peer.Addr(echo))
		if rep != 0 {
			t.Fatalf("reply %d", rep)
		}
		fmt.Fprintf(c, "hello %d", i)
		if _, err := io.ReadFull(c, make([]byte, len("hello 0"))); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	p := startPrometheus(t, web)
	ended := fmt.Sprintf("%s{result=%q}", metrics.ConnectionsTotal.Name, "ok")
	p.Until(t, "scrape umbra twice", func() bool {
		n, err := p.query(t, `count_over_time(up{job="umbra"}[1m])`)
		served, err2 := p.query(t, ended)
		return err == nil && err2 == nil && len(n) == 1 && n[0] >= 3 && len(served) == 1 && served[0] == visits
	})

	var targets struct {
		ActiveTargets []struct{ Health, LastError string }
	}
	if err := p.get(t, "targets", &targets); err != nil || len(targets.ActiveTargets) != 1 || targets.ActiveTargets[0].Health != "up" || targets.ActiveTargets[0].LastError != "" {
		t.Errorf("targets: got %+v, %v", targets, err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.Until(t, "evaluate the alerts", func() bool {
		return p.get(t, "rules", &rules) == nil && len(rules.Groups) == 1 && rules.Groups[0].Rules[0].Health != "unknown"
	})
	for _, r := range rules.Groups[0].Rules {
		if r.Health == "err" {
			t.Errorf("alert %s: %s", r.Name, r.LastError)
		}
	}
	for series, want := range map[string]float64{
		metrics.RouteDecisions.Name + `{route="split",rule="otherwise"}`:         visits,
		metrics.GroupMemberSelected.Name + `{group="exits",member="here"}`:       1,
		metrics.GroupMemberUp.Name + `{group="exits",member="here"}`:             1,
		metrics.StoreUp.Name + `{policy="ban"}`:                                  1,
		metrics.Bytes.Name + `{pipeline="local",network="tcp",direction="down"}`: visits * 7,
		metrics.QuotaUserUsed.Name + `{policy="limit",user="-"}`:                 visits * 14,
		"sum(" + metrics.ResolverQueries.Name + `{resolver="names"})`:            0,
	} {
		if got, err := p.query(t, series); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %v, %v, want %v", series, got, err, want)
		}
	}
	empty := map[string]bool{ // the file has nothing of it, or nothing of it has happened
		"Certificates end in": true, "Clock offsets": true, "Searches for users": true, "Failed handshakes": true, "Bytes of failed handshakes": true, "Dropped datagrams": true,
	}
	for title, queries := range panels(t) {
		for _, q := range queries {
			if got, err := p.query(t, q); err != nil || len(got) == 0 && !empty[title] {
				t.Errorf("%s: got %v, %v of %s", title, got, err, q)
			}
		}
	}
}
