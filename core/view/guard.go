package view

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// policy is the Content-Security-Policy of every answer.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// guard lets in who may: it checks the name by which the door was reached, so that no page
// of another site gets in by a name of its own for this address; where a request comes from,
// if it changes something; and the token.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // with none a browser hides where the form for the token comes from
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !s.options.Private && !s.isHost(r.Host):
			refuse(w, http.StatusMisdirectedRequest, "the door is not reached by this name; use an address, or add the name to hosts in [admin]")
		case !s.options.Private && isForeign(r):
			refuse(w, http.StatusForbidden, "the request comes from a page of another site")
		case isOpen(r.URL.Path) || s.isKnown(r):
			next.ServeHTTP(w, r)
		case r.URL.Path == "/" && r.Method == http.MethodGet:
			s.askToken(w)
		default:
			h.Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "want the token of token_file: Authorization: Bearer TOKEN")
		}
	})
}

// isOpen reports whether a path needs no token: what balancers ask, and what the form for
// the token is made of.
func isOpen(path string) bool {
	return isPageFile(path) || slices.Contains([]string{"/live", "/ready", "/login"}, path)
}

// isHost reports whether the door may be reached by a name or an address.
func (s *Server) isHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" {
		return true
	}
	return slices.ContainsFunc(s.options.Hosts, func(name string) bool { return strings.EqualFold(name, host) })
}

// isForeign reports whether a request comes from a page of another origin. Programs send no
// Origin; browsers send one with each request that changes something, and say with all
// requests from where they come.
func isForeign(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return r.Method != http.MethodGet || isAPI(r.URL.Path) || r.URL.Path == "/metrics"
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}

// isKnown reports whether a request has the token, or the cookie of a login.
func (s *Server) isKnown(r *http.Request) bool {
	if s.options.Private || s.options.Token == nil {
		return true
	}
	token := s.options.Token()
	if given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return same(given, token)
	}
	c, err := r.Cookie(cookieName)
	return err == nil && same(c.Value, s.sessions.of(token))
}

// same compares in a time that does not depend on the texts. An empty token is none.
func same(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// cookieName is that of the cookie of a login.
const cookieName = "umbra_session"

// sessions makes the cookies of logins: they end with the process, and with the token.
type sessions struct{ key []byte }

func newSessions() sessions {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return sessions{key}
}

func (s sessions) of(token string) string {
	mac := hmac.New(sha256.New, s.key)
	_, _ = mac.Write([]byte(token))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// login sets the cookie for who knows the token.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostBody)
	if s.options.Token != nil {
		token := s.options.Token()
		if !same(strings.TrimSpace(r.PostFormValue("token")), token) {
			w.WriteHeader(http.StatusUnauthorized)
			s.writeLogin(w, true)
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: cookieName, Value: s.sessions.of(token), Path: "/", HttpOnly: true, Secure: s.options.Secure, SameSite: http.SameSiteStrictMode,
		})
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// askToken answers with the form for the token.
func (s *Server) askToken(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusUnauthorized)
	s.writeLogin(w, false)
}
