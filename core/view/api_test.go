package view

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// Each request reaches the Source as it was meant, or is answered with what is wrong.
func TestRequests(t *testing.T) {
	for _, tc := range []struct {
		method, path, body string
		status             int
		did                string
	}{
		{"GET", "/api/v1/connections?pipeline=p&network=udp&user=bob&outbound=outbound.a&text=EX&sort=-bytes&limit=5&offset=10", "", 200,
			"connections {Pipeline:p Network:udp User:bob Outbound:outbound.a Text:ex Failed:false Sort:-bytes Limit:5 Offset:10 Whole:false}"},
		{"GET", "/api/v1/connections?limit=100000", "", 200, "connections {Pipeline: Network: User: Outbound: Text: Failed:false Sort: Limit:1000 Offset:0 Whole:false}"},
		{"GET", "/api/v1/journeys?failed=true&after=9&whole=true", "", 200,
			"journeys {Pipeline: Network: User: Outbound: Text: Failed:true Sort: Limit:100 Offset:0 Whole:true} after 9"},
		{"GET", "/api/v1/connections?sort=name", "", 400, ""},
		{"GET", "/api/v1/connections?limit=-1", "", 400, ""},
		{"GET", "/api/v1/connections?limit=x", "", 400, ""},
		{"GET", "/api/v1/connections?network=icmp", "", 400, ""},
		{"GET", "/api/v1/journeys?after=x", "", 400, ""},
		{"GET", "/api/v1/log?lines=x", "", 400, ""},
		{"DELETE", "/api/v1/connections/7", "", 204, "cut 7"},
		{"DELETE", "/api/v1/connections/8", "", 404, "cut 8"},
		{"DELETE", "/api/v1/connections/all", "", 400, ""},
		{"DELETE", "/api/v1/bans?policy=policy.ban&client=192.0.2.7", "", 204, "lift policy.ban 192.0.2.7/32"},
		{"DELETE", "/api/v1/bans?policy=policy.ban&client=2001:db8::/64", "", 204, "lift policy.ban 2001:db8::/64"},
		{"DELETE", "/api/v1/bans?policy=policy.no&client=192.0.2.7", "", 404, "lift policy.no 192.0.2.7/32"},
		{"DELETE", "/api/v1/bans?policy=policy.ban&client=everybody", "", 400, ""},
		{"PUT", "/api/v1/groups/exit", `{"member":"paris"}`, 204, "select exit paris"},
		{"PUT", "/api/v1/groups/exit", `{"members":"paris"}`, 400, ""},
		{"PUT", "/api/v1/groups/exit", `{"member":"paris"}{}`, 400, ""},
		{"PUT", "/api/v1/groups/exit", `{"member":"` + strings.Repeat("x", mostBody) + `"}`, 400, ""},
		{"POST", "/api/v1/reload/compare", "", 200, "compare"},
		{"POST", "/api/v1/reload", `{"digest":"d"}`, 204, "apply d by api"},
		{"POST", "/api/v1/reload", `{"digest":"d","by":"page"}`, 204, "apply d by page"},
		{"POST", "/api/v1/reload", `{"digest":"d","by":"<script>"}`, 204, "apply d by api"},
		{"POST", "/api/v1/reload", `{"digest":"old"}`, 409, "apply old by api"},
		{"POST", "/api/v1/reload", `{"digest":"bad"}`, 422, "apply bad by api"},
		{"GET", "/api/v1/reload", "", 405, ""},
		{"POST", "/api/v1/plan", "", 405, ""},
	} {
		f := &fake{}
		at := start(t, f, Options{Write: true, Users: true})
		status, body := call(t, at, tc.method, tc.path, tc.body)
		if status != tc.status || f.done() != tc.did {
			t.Errorf("%s %s: got %d %s; did %q, want %d and %q", tc.method, tc.path, status, body, f.done(), tc.status, tc.did)
		}
		var p Problem
		if status >= 400 && status != 405 && (json.Unmarshal([]byte(body), &p) != nil || p.Error == "") {
			t.Errorf("%s %s: got %q, want a problem", tc.method, tc.path, body)
		}
	}
}

// Without write = true nothing changes, and without users = true no name is shown.
func TestReadOnly(t *testing.T) {
	f := &fake{}
	at := start(t, f, Options{})
	for _, e := range new(Server).endpoints() {
		path := strings.NewReplacer("{id}", "7", "{name}", "g").Replace(e.path)
		status, body := call(t, at, e.method, path, "{}")
		if e.changes != (status == http.StatusForbidden) {
			t.Errorf("%s %s: got %d %s", e.method, path, status, body)
		}
		if strings.Contains(body, "alice") {
			t.Errorf("%s %s shows a user: %s", e.method, path, body)
		}
	}
}

// Lines of the log tell no names of users, whatever the form of the log.
func TestLogNames(t *testing.T) {
	for line, want := range map[string]string{
		`INFO stream closed user=alice up=1`:                `INFO stream closed user=- up=1`,
		`INFO stream closed up=1 user="al \"i\" ce" down=2`: `INFO stream closed up=1 user=- down=2`,
		`{"msg":"x","user":"al \"i\" ce","up":1}`:           `{"msg":"x","user":"-","up":1}`,
		`INFO no name here superuser=root`:                  `INFO no name here superuser=root`,
	} {
		if got := withoutUser(line); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// What a client sent is text in every answer.
func TestMarkup(t *testing.T) {
	at := start(t, &fake{}, Options{})
	if _, body := call(t, at, http.MethodGet, "/api/v1/connections", ""); strings.Contains(body, "<script>") {
		t.Errorf("got %s", body)
	}
}

func TestReady(t *testing.T) {
	f := &fake{}
	at := start(t, f, Options{})
	if status, body := call(t, at, http.MethodGet, "/ready", ""); status != 200 || body != "ready\n" {
		t.Errorf("got %d %q", status, body)
	}
	f.notReady = "draining"
	if status, body := call(t, at, http.MethodGet, "/ready", ""); status != 503 || body != "not ready: draining\n" {
		t.Errorf("draining: got %d %q", status, body)
	}
	if status, _ := call(t, at, http.MethodGet, "/live", ""); status != 200 {
		t.Errorf("live: got %d", status)
	}
}

// The metrics have each figure; users only if they are shown, the most used ones first and
// no more than may.
func TestMetrics(t *testing.T) {
	h := metrics.NewHistogram([]float64{1, 2})
	h.Observe(1.5)
	f := &fake{users: 100_000, figures: []core.Figure{
		{Metric: metrics.Bans, Labels: []string{"ban"}, Value: 3},
		{Metric: metrics.DialSeconds, Labels: []string{"direct"}, Counts: h.Counts()},
		{Metric: &core.Metric{Name: "other_total", Kind: core.Counter, Help: "of a third party", Labels: []string{"a", "b"}}, Labels: []string{"too few"}},
	}}
	_, body := call(t, start(t, f, Options{}), http.MethodGet, "/metrics", "")
	for _, want := range []string{
		`umbra_bans{policy="ban"} 3`, `umbra_dial_seconds_bucket{outbound="direct",le="1"} 0`, `umbra_dial_seconds_bucket{outbound="direct",le="2"} 1`,
		"go_goroutines ", "process_open_fds ", "umbra_event_readers_dropped_total 0",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if strings.Contains(body, "user00") {
		t.Error("names of users are shown")
	}
	_, body = call(t, start(t, f, Options{Users: true, MaxUsers: 10}), http.MethodGet, "/metrics", "")
	if n := strings.Count(body, "umbra_user_bytes_total{"); n != 10 || !strings.Contains(body, `user="user099999"`) || !strings.Contains(body, "umbra_series_not_shown 99990") {
		t.Errorf("got %d series of users", n)
	}
}

// The description of the API is true: each path answers with the form that it says.
func TestOpenAPI(t *testing.T) {
	f := &fake{}
	at := start(t, f, Options{Write: true, Users: true})
	_, body := call(t, at, http.MethodGet, "/api/v1/openapi.json", "")
	var d struct {
		Paths      map[string]map[string]map[string]any
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, e := range new(Server).endpoints() {
		op := d.Paths[e.path][strings.ToLower(e.method)]
		if op == nil || op["summary"] != e.about {
			t.Errorf("%s %s: got %v", e.method, e.path, op)
			continue
		}
		send := map[string]string{"/api/v1/groups/{name}": `{"member":"a"}`, "/api/v1/reload": `{"digest":"d"}`}[e.path]
		path := strings.NewReplacer("{id}", "7", "{name}", "g").Replace(e.path)
		if e.path == "/api/v1/bans" && e.method == "DELETE" {
			path += "?policy=policy.ban&client=192.0.2.1"
		}
		status, body := call(t, at, e.method, path, send)
		answer, _ := op["responses"].(map[string]any)[fmt.Sprint(status)].(map[string]any)
		if answer == nil {
			t.Errorf("%s %s: got %d, which is not described", e.method, path, status)
			continue
		}
		content, ok := answer["content"].(map[string]any)
		if !ok {
			continue
		}
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatal(err)
		}
		checked++
		for _, wrong := range conforms(v, content["application/json"].(map[string]any)["schema"], d.Components.Schemas, e.path) {
			t.Error(wrong)
		}
	}
	if checked < 8 {
		t.Errorf("checked %d answers", checked)
	}
}

// conforms returns where a value is not as a schema says.
func conforms(v, schema any, named map[string]any, at string) []string {
	s := schema.(map[string]any)
	if ref, ok := s["$ref"].(string); ok {
		return conforms(v, named[strings.TrimPrefix(ref, "#/components/schemas/")], named, at)
	}
	var wrong []string
	kind := map[string]bool{}
	switch v := v.(type) {
	case map[string]any:
		kind["object"] = true
		properties, _ := s["properties"].(map[string]any)
		for key, value := range v {
			of := properties[key]
			if more, ok := s["additionalProperties"].(map[string]any); of == nil && ok {
				of = more
			}
			if of == nil {
				wrong = append(wrong, at+"."+key+" is not described")
				continue
			}
			wrong = append(wrong, conforms(value, of, named, at+"."+key)...)
		}
		required, _ := s["required"].([]any)
		for _, key := range required {
			if _, ok := v[key.(string)]; !ok {
				wrong = append(wrong, fmt.Sprintf("%s.%s is missing", at, key))
			}
		}
	case []any:
		kind["array"] = true
		for i, value := range v {
			wrong = append(wrong, conforms(value, s["items"], named, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case nil:
		kind["array"], kind["object"] = true, true // an empty list of Go
	case string:
		kind["string"] = true
	case bool:
		kind["boolean"] = true
	case float64:
		kind["number"], kind["integer"] = true, v == float64(int64(v))
	}
	if !kind[fmt.Sprint(s["type"])] {
		wrong = append(wrong, fmt.Sprintf("%s: got %v, want %v", at, v, s["type"]))
	}
	slices.Sort(wrong)
	return wrong
}
