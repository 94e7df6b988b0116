package gen

import (
	"encoding/json"
	"fmt"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

// target is a query of a panel.
type target struct {
	expr   string
	legend string // with labels, as {{pipeline}}
}

// panel is one panel of the dashboard.
type panel struct {
	title string
	unit  string // of Grafana
	kind  string // "timeseries" or "stat"
	width int    // of 24
	about string // what it shows and what to look for; "" if the title says it
	shows []target
}

// row is a row of panels under a title.
type row struct {
	title  string
	panels []panel
}

// Selections of series by the variables of the dashboard.
const (
	onInstance = `instance=~"$instance"`
	onPipeline = `instance=~"$instance",pipeline=~"$pipeline"`
)

// rate is the expression of a counter's rate by labels.
func rate(m *core.Metric, by, selection string) string {
	return expr(`sum by (%s) (rate(%s{%s}[$__rate_interval]))`, by, m, selection)
}

// sum is the expression of a gauge by labels.
func sum(m *core.Metric, by, selection string) string {
	return expr(`sum by (%s) (%s{%s})`, by, m, selection)
}

// quantile is the expression of a quantile of a histogram by labels.
func quantile(q float64, m *core.Metric, by, selection string) string {
	return expr(`histogram_quantile(%v, sum by (le, %s) (rate(%s_bucket{%s}[$__rate_interval])))`, q, by, m, selection)
}

// plain is the expression of a metric's series themselves.
func plain(m *core.Metric) string { return expr(`%s{%s}`, m, onInstance) }

// middling are two quantiles of a histogram.
func middling(m *core.Metric, by, selection string) []target {
	return []target{
		{quantile(.5, m, by, selection), "{{" + by + "}} half"},
		{quantile(.95, m, by, selection), "{{" + by + "}} 95 of 100"},
	}
}

// rows returns what the dashboard shows.
func rows() []row {
	return []row{
		{"Now", []panel{
			{"Version", "none", "stat", 4, "", []target{{plain(metrics.BuildInfo), "{{version}}"}}},
			{"Running for", "s", "stat", 4, "", []target{{expr(`time() - %s`, plain(metrics.StartTime)), "{{instance}}"}}},
			{"File loaded", "s", "stat", 4, "how long ago the file that is served was taken over", []target{{expr(`time() - %s`, plain(metrics.LastReload)), "{{instance}}"}}},
			{"Connections", "short", "stat", 4, "", []target{{sum(metrics.Connections, "network", onPipeline), "{{network}}"}}},
			{"Bytes a second", "Bps", "stat", 4, "", []target{{rate(metrics.Bytes, "direction", onPipeline), "{{direction}}"}}},
			{"Certificates end in", "s", "stat", 4, "", []target{{expr(`%s - time()`, plain(metrics.CertificateNotAfter)), "{{transport}}"}}},
		}},
		{"Connections", []panel{
			{"Being served", "short", "timeseries", 12, "", []target{{sum(metrics.Connections, "pipeline, network", onPipeline), "{{pipeline}} {{network}}"}}},
			{"Ended", "cps", "timeseries", 12, "by result; ok is an orderly end", []target{{rate(metrics.ConnectionsTotal, "pipeline, result", onPipeline), "{{pipeline}} {{result}}"}}},
			{"Bytes", "Bps", "timeseries", 12, "", []target{{rate(metrics.Bytes, "pipeline, direction", onPipeline), "{{pipeline}} {{direction}}"}}},
			{"Time to the first byte", "s", "timeseries", 6, "", middling(metrics.FirstByteSeconds, "pipeline", onPipeline)},
			{"Duration", "s", "timeseries", 6, "", middling(metrics.ConnectionSeconds, "pipeline", onPipeline)},
			{"Dropped datagrams", "pps", "timeseries", 12, "", []target{{rate(metrics.DatagramsDropped, "pipeline, reason", onPipeline), "{{pipeline}} {{reason}}"}}},
		}},
		{"Clients", []panel{
			{"Accepted", "cps", "timeseries", 8, "", []target{{rate(metrics.Accepted, "inbound, network", onInstance), "{{inbound}} {{network}}"}}},
			{"Handshakes going on", "short", "timeseries", 8, "", []target{{sum(metrics.Handshakes, "inbound", onInstance), "{{inbound}}"}}},
			{"Failed handshakes", "cps", "timeseries", 8, "by reason: auth and replay are somebody who tries doors, or an old password", []target{{rate(metrics.HandshakeFailures, "inbound, reason", onInstance), "{{inbound}} {{reason}}"}}},
			{"Duration of handshakes", "s", "timeseries", 8, "", middling(metrics.HandshakeSeconds, "inbound", onInstance)},
			{"Bytes of failed handshakes", "bytes", "timeseries", 8, "many at one size are probes that look for the bytes of a protocol", []target{{quantile(.95, metrics.ProbeBytes, "inbound", onInstance), "{{inbound}}"}}},
			{"Clock offsets", "s", "timeseries", 8, "above 30 seconds the 2022 edition refuses connections", []target{{quantile(.95, metrics.ClockOffset, "cipher", onInstance), "{{cipher}}"}}},
			{"Searches for users", "ops", "timeseries", 8, "those that find nobody are noise", []target{{rate(metrics.CipherTrials, "cipher, found", onInstance), "{{cipher}} found {{found}}"}}},
		}},
		{"Far side", []panel{
			{"Dials", "cps", "timeseries", 8, "", []target{{rate(metrics.Dials, "outbound, result", onInstance), "{{outbound}} {{result}}"}}},
			{"Duration of dials", "s", "timeseries", 8, "", middling(metrics.DialSeconds, "outbound", onInstance)},
			{"Decisions of routes", "cps", "timeseries", 8, "", []target{{rate(metrics.RouteDecisions, "route, rule", onInstance), "{{route}} {{rule}}"}}},
			{"Members that are up", "bool_yes_no", "timeseries", 8, "", []target{{plain(metrics.GroupMemberUp), "{{group}} {{member}}"}}},
			{"Members that requests take", "bool_yes_no", "timeseries", 8, "", []target{{plain(metrics.GroupMemberSelected), "{{group}} {{member}}"}}},
			{"Changes of members", "short", "timeseries", 8, "", []target{{expr(`sum by (group) (increase(%s[$__rate_interval]))`, plain(metrics.GroupSwitches)), "{{group}}"}}},
		}},
		{"Policies", []panel{
			{"Bans", "short", "timeseries", 8, "", []target{{plain(metrics.Bans), "{{policy}}"}}},
			{"New bans", "short", "timeseries", 8, "", []target{{expr(`sum by (policy, reason) (increase(%s[$__rate_interval]))`, plain(metrics.BansTotal)), "{{policy}} {{reason}}"}}},
			{"Refusals", "cps", "timeseries", 8, "", []target{{rate(metrics.PolicyRefusals, "policy, reason", onInstance), "{{policy}} {{reason}}"}}},
			{"Stores that answer", "bool_yes_no", "timeseries", 8, "", []target{{plain(metrics.StoreUp), "{{policy}}"}}},
			{"What stores have not taken", "s", "timeseries", 8, "the age of the oldest write", []target{{plain(metrics.StoreLag), "{{policy}}"}}},
		}},
		{"Names", []panel{
			{"Queries", "reqps", "timeseries", 8, "", []target{{rate(metrics.ResolverQueries, "resolver, server, result", onInstance), "{{server}} {{result}}"}}},
			{"Duration of queries", "s", "timeseries", 8, "", middling(metrics.ResolverSeconds, "server", onInstance)},
			{"Answers of the cache", "reqps", "timeseries", 8, "", []target{{rate(metrics.ResolverCacheHits, "resolver", onInstance), "{{resolver}}"}}},
		}},
		{"Process", []panel{
			{"Memory", "bytes", "timeseries", 8, "", []target{{expr(`process_resident_memory_bytes{%s}`, onInstance), "{{instance}} resident"}, {expr(`go_memstats_heap_inuse_bytes{%s}`, onInstance), "{{instance}} heap"}}},
			{"Processors", "percentunit", "timeseries", 8, "", []target{{expr(`rate(process_cpu_seconds_total{%s}[$__rate_interval])`, onInstance), "{{instance}}"}}},
			{"Open files", "short", "timeseries", 8, "", []target{{expr(`process_open_fds{%s}`, onInstance), "{{instance}}"}, {expr(`process_max_fds{%s}`, onInstance), "{{instance}} at most"}}},
			{"Reloads", "short", "timeseries", 8, "", []target{{expr(`sum by (instance, result) (increase(%s[$__rate_interval]))`, plain(metrics.Reloads)), "{{instance}} {{result}}"}}},
			{"Files with connections", "short", "timeseries", 8, "more than 1 while an older file serves out its connections", []target{{plain(metrics.Generations), "{{instance}}"}}},
			{"Readers of events that were dropped", "short", "timeseries", 8, "", []target{{expr(`increase(%s[$__rate_interval])`, plain(metrics.EventReadersDropped)), "{{instance}}"}}},
		}},
	}
}

// object is an object of JSON.
type object = map[string]any

// source is the data source of a panel: the variable of the dashboard.
var source = object{"type": "prometheus", "uid": "${source}"}

// dashboard returns contrib/grafana/umbra.json, in the schema of Grafana 10.
func dashboard() []byte {
	const height = 8
	panels, id, y := []object{}, 0, 0
	for _, r := range rows() {
		id++
		panels = append(panels, object{"id": id, "type": "row", "title": r.title, "collapsed": false, "panels": []object{}, "gridPos": object{"x": 0, "y": y, "w": 24, "h": 1}})
		y++
		x, high := 0, height
		if r.panels[0].kind == "stat" {
			high = height / 2
		}
		for _, p := range r.panels {
			if x+p.width > 24 {
				x, y = 0, y+high
			}
			id++
			panels = append(panels, p.object(id, object{"x": x, "y": y, "w": p.width, "h": high}))
			x += p.width
		}
		y += high
	}
	text, err := json.MarshalIndent(object{
		"uid": "umbra", "title": "umbra", "tags": []string{"umbra"}, "editable": true, "schemaVersion": 39, "version": 1, "graphTooltip": 1,
		"refresh": "30s", "time": object{"from": "now-6h", "to": "now"}, "timezone": "", "annotations": object{"list": []object{}}, "links": []object{},
		"templating": object{"list": []object{
			{"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus", "current": object{}, "hide": 0},
			variable("instance", "Instance", expr(`label_values(%s, instance)`, metrics.BuildInfo)),
			variable("pipeline", "Pipeline", expr(`label_values(%s{%s}, pipeline)`, metrics.Connections, onInstance)),
		}},
		"panels": panels,
	}, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("gen: %v", err)) // these types can be encoded
	}
	return append(text, '\n')
}

// variable is one of the dashboard, of which several values may be chosen.
func variable(name, label, query string) object {
	return object{
		"name": name, "label": label, "type": "query", "datasource": source, "query": object{"query": query, "refId": name}, "definition": query,
		"refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*", "hide": 0,
		"current": object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}},
	}
}

// object returns a panel in the schema of Grafana.
func (p panel) object(id int, at object) object {
	var targets []object
	for i, t := range p.shows {
		targets = append(targets, object{
			"refId": string(rune('A' + i)), "expr": t.expr, "legendFormat": t.legend, "datasource": source, "editorMode": "code", "range": true, "instant": false,
		})
	}
	o := object{
		"id": id, "type": p.kind, "title": p.title, "description": p.about, "datasource": source, "gridPos": at, "targets": targets,
		"fieldConfig": object{"defaults": object{"unit": p.unit, "min": 0}, "overrides": []object{}},
		"options": object{
			"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
			"tooltip": object{"mode": "multi", "sort": "desc"},
		},
	}
	if p.kind == "stat" {
		text := "value"
		if p.title == "Version" {
			text = "name"
		}
		o["options"] = object{"colorMode": "none", "graphMode": "none", "textMode": text, "reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}}
		o["fieldConfig"] = object{"defaults": object{"unit": p.unit}, "overrides": []object{}}
	}
	return o
}
