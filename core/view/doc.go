// Package view is the door through which a running process is looked at: metrics, health, an
// API in JSON, a stream of events and a page that draws the pipelines. It knows the process
// only as a Source.
//
// The forms of the API are the types of this file's package; docs/api.md describes the paths,
// and /api/v1/openapi.json is made from both.
package view
