// Package metrics lists the metrics of the project, and has the counters and histograms that
// components count in.
//
// Names follow the conventions of Prometheus: base units, "_total" for counters. No label has
// a client's address, a target or anything else that a client chooses; names of users are
// labels only of the metrics that say so.
package metrics
