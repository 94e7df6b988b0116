package view

import (
	"io"
	"net/http"
)

// page serves the page, and the form for the token.
func (s *Server) page(mux *http.ServeMux) {
	mux.HandleFunc("POST /login", s.login)
}

// writeLogin writes the form for the token.
func (s *Server) writeLogin(w io.Writer, wrong bool) {
	_, _ = io.WriteString(w, "token?")
}
