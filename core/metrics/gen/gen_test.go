package gen

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
	"github.com/umbra-proxy/umbra/test/peer"
)

var update = flag.Bool("update-metrics", false, "write the files anew")

// root is the root of the project.
const root = "../../.."

// TestFiles compares the files with what is made now.
func TestFiles(t *testing.T) {
	for path, want := range Files() {
		at := filepath.Join(root, filepath.FromSlash(path))
		if *update {
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(at); err != nil || !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
			t.Errorf("%s is not what the list of metrics says (%v); write it by: go test ./core/metrics/gen -update-metrics", path, err)
		}
	}
}

// lookup returns the metric of a series' name, and the labels that it has beside those of a
// scrape.
func lookup(name string) (*core.Metric, []string) {
	for _, m := range metrics.All() {
		switch {
		case m.Name == name && m.Kind != core.Histogram:
			return m, m.Labels
		case m.Kind == core.Histogram && name == m.Name+"_bucket":
			return m, append(slices.Clone(m.Labels), "le")
		case m.Kind == core.Histogram && (name == m.Name+"_count" || name == m.Name+"_sum"):
			return m, m.Labels
		}
	}
	return nil, nil
}

var (
	seriesName = regexp.MustCompile(`\bumbra_[a-z0-9_]+`)
	grouping   = regexp.MustCompile(`by \(([a-z_, ]+)\)`)
	selection  = regexp.MustCompile(`([a-z_]+)(?:=|!=|=~|!~)"`)
	template   = regexp.MustCompile(`(?:\{\{ ?\$labels\.|\{\{)([a-z_]+)`)
)

// checkExpr checks that the metrics of an expression exist, and that they have the labels by
// which it selects and sums, and those of its legend.
func checkExpr(t *testing.T, where, e, legend string) []*core.Metric {
	t.Helper()
	var used []*core.Metric
	labels := []string{"instance", "job"}
	for _, name := range seriesName.FindAllString(e, -1) {
		m, has := lookup(name)
		if m == nil {
			t.Errorf("%s: there is no %s", where, name)
		}
		used, labels = append(used, m), append(labels, has...)
	}
	asked := template.FindAllStringSubmatch(legend, -1)
	asked = append(asked, selection.FindAllStringSubmatch(e, -1)...)
	for _, by := range grouping.FindAllStringSubmatch(e, -1) {
		kept := strings.Split(by[1], ", ")
		for _, l := range kept {
			asked = append(asked, []string{"", l})
		}
		for _, l := range template.FindAllStringSubmatch(legend, -1) {
			if !slices.Contains(kept, l[1]) {
				t.Errorf("%s: %s has no %s any more, which %q shows", where, e, l[1], legend)
			}
		}
	}
	for _, l := range asked {
		if !slices.Contains(labels, l[1]) {
			t.Errorf("%s: %s has no label %s", where, e, l[1])
		}
	}
	return used
}

// TestDashboard checks the JSON that Grafana imports, and that all metrics are shown.
func TestDashboard(t *testing.T) {
	var d struct {
		SchemaVersion int
		UID, Title    string
		Templating    struct {
			List []struct{ Name, Type, Definition string }
		}
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct{ RefID, Expr, LegendFormat string }
			Datasource  struct{ Type, UID string }
		}
	}
	if err := json.Unmarshal(dashboard(), &d); err != nil {
		t.Fatal(err)
	}
	if d.SchemaVersion < 38 || d.Title == "" || d.UID == "" {
		t.Errorf("got schema %d, title %q, uid %q", d.SchemaVersion, d.Title, d.UID)
	}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if v.Type == "query" {
			checkExpr(t, "variable "+v.Name, v.Definition, "")
		}
	}
	if !slices.Equal(variables, []string{"source", "instance", "pipeline"}) {
		t.Errorf("got the variables %v", variables)
	}
	shown, ids := map[*core.Metric]bool{}, map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: id %d twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies over %q, or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Datasource.UID != "${source}" {
			t.Errorf("%s: got %d queries to %q", p.Title, len(p.Targets), p.Datasource.UID)
		}
		for _, q := range p.Targets {
			for _, m := range checkExpr(t, p.Title, q.Expr, q.LegendFormat) {
				shown[m] = true
			}
		}
	}
	users := []*core.Metric{metrics.UserBytes, metrics.UserConnections, metrics.QuotaUserBytes, metrics.QuotaUserUsed, metrics.SeriesNotShown} // not everybody has them
	for _, m := range metrics.All() {
		if shown[m] == slices.Contains(users, m) {
			t.Errorf("%s: shown %t", m.Name, shown[m])
		}
	}
}

// TestAlerts checks the metrics and labels of alerts.
func TestAlerts(t *testing.T) {
	if !slices.Contains(metrics.Offsets(), metrics.ClockOff) {
		t.Errorf("%v is no bound of the histogram", metrics.ClockOff)
	}
	for _, a := range alerts() {
		checkExpr(t, a.name, a.expr, a.summary)
		for _, s := range a.proof.series {
			checkExpr(t, a.name, s[0], "")
		}
	}
}

// promtool runs promtool on a file.
func promtool(t *testing.T, words ...string) {
	t.Helper()
	out, err := exec.Command(peer.Need(t, "promtool"), words...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(words, " "), err, out)
	}
}

// save writes a file of a test and returns its path.
func save(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPromtoolAlerts has each alert fire, and be silent before that.
func TestPromtoolAlerts(t *testing.T) {
	dir := t.TempDir()
	rules := save(t, dir, "alerts.yml", alertFile())
	promtool(t, "check", "rules", rules)
	for _, a := range alerts() {
		t.Run(a.name, func(t *testing.T) {
			var b strings.Builder
			b.WriteString("rule_files: [alerts.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n")
			for _, s := range a.proof.series {
				fmt.Fprintf(&b, "      - series: %s\n        values: %s\n", quoted(s[0]), quoted(s[1]))
			}
			fmt.Fprintf(&b, "    alert_rule_test:\n      - eval_time: %s\n        alertname: %s\n        exp_alerts: []\n", a.proof.silent, a.name)
			fmt.Fprintf(&b, "      - eval_time: %s\n        alertname: %s\n        exp_alerts:\n          - exp_labels: { severity: %s, %s }\n", a.proof.fires, a.name, a.severity, a.proof.labels)
			fmt.Fprintf(&b, "            exp_annotations: { summary: %s, description: %s }\n", quoted(rendered(a)), quoted(a.help))
			promtool(t, "test", "rules", save(t, dir, a.name+".yml", b.String()))
		})
	}
}

// rendered returns the summary of an alert with the labels of its proof.
func rendered(a alert) string {
	s := a.summary
	for _, pair := range strings.Split(a.proof.labels, ", ") {
		name, value, _ := strings.Cut(pair, ": ")
		s = strings.ReplaceAll(s, "{{ $labels."+name+" }}", value)
	}
	return strings.ReplaceAll(s, "{{ $value | humanizeDuration }}", "13d 23h 59m 0s")
}

// TestPromtoolDashboard has promtool read the queries of the dashboard.
func TestPromtoolDashboard(t *testing.T) {
	var b strings.Builder
	b.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	n := 0
	for _, r := range rows() {
		for _, p := range r.panels {
			for _, q := range p.shows {
				n++
				fmt.Fprintf(&b, "      - record: panel:%d\n        expr: %s\n", n, quoted(strings.ReplaceAll(q.expr, "$__rate_interval", "5m")))
			}
		}
	}
	promtool(t, "check", "rules", save(t, t.TempDir(), "dashboard.yml", b.String()))
}
