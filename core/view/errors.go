package view

import (
	"errors"
	"net/http"
)

// Errors of a Source, each with a status of its own.
var (
	ErrChanged  = errors.New("the file has changed since it was looked at; look again")
	ErrNotFound = errors.New("not found")
)

// statusOf returns the status of an answer with an error: 422 for what the process refuses.
func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrChanged):
		return http.StatusConflict
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound
	}
	return http.StatusUnprocessableEntity
}
