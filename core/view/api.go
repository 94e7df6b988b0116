package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Bounds of lists.
const (
	usualLimit = 100
	mostLimit  = 1000
	ownLimit   = 100_000  // of the owner of the process
	mostBody   = 64 << 10 // bytes of a request
)

// endpoint is one path of the API.
type endpoint struct {
	method, path, about string
	query               []parameter
	body, result        any // zero values of the forms; nil for none
	changes             bool
	answer              func(*http.Request) (any, error)
}

// parameter is one of a query.
type parameter struct{ name, about string }

// endpoints returns the paths of the API that answer with one value of JSON.
func (s *Server) endpoints() []endpoint {
	filters := []parameter{
		{"pipeline", "only of this pipeline"}, {"network", `"tcp" or "udp"`}, {"user", "only of this user"},
		{"outbound", `only through this outbound, such as "outbound.paris"`}, {"text", "a part of the client's address or of the target"},
	}
	limit := parameter{"limit", fmt.Sprintf("how many at most, up to %d, or %d on the socket; %d if it is left out", mostLimit, ownLimit, usualLimit)}
	return []endpoint{
		{
			method: "GET", path: "/api/v1/status", about: "what the process says of itself", result: Status{},
			answer: func(*http.Request) (any, error) { return s.status(), nil },
		},
		{
			method: "GET", path: "/api/v1/plan", about: "the plan of the file that is served, as umbra explain --json prints it", result: Plan{},
			answer: func(*http.Request) (any, error) { return s.source.Plan(), nil },
		},
		{
			method: "GET", path: "/api/v1/snapshot", about: "what happens now", result: Snapshot{},
			answer: func(*http.Request) (any, error) { return s.source.Snapshot(), nil },
		},
		{
			method: "GET", path: "/api/v1/connections", about: "connections that are being served", result: Connections{},
			query:  append(filters, parameter{"sort", `"id", "up", "down", "bytes" or "since"; a "-" before it turns it round`}, limit, parameter{"offset", "how many to leave out first"}),
			answer: s.connections,
		},
		{
			method: "DELETE", path: "/api/v1/connections/{id}", about: "end a connection", changes: true,
			answer: s.cut,
		},
		{
			method: "GET", path: "/api/v1/journeys", about: "connections that have ended, each with the steps on its way, the latest last", result: []Journey{},
			query: append(filters, parameter{"failed", `"true": only those that did not end in order`},
				parameter{"after", "only those with a higher number"}, limit, parameter{"whole", `"true": whole client addresses`}),
			answer: s.journeys,
		},
		{
			method: "GET", path: "/api/v1/users", about: "users, with their bytes and quotas", result: []User{},
			answer: func(*http.Request) (any, error) { return s.users(), nil },
		},
		{
			method: "GET", path: "/api/v1/bans", about: "clients that are banned", result: []Ban{},
			answer: func(r *http.Request) (any, error) { return s.source.Bans(r.Context()) },
		},
		{
			method: "DELETE", path: "/api/v1/bans", about: "lift a ban", changes: true,
			query:  []parameter{{"policy", `the policy, such as "policy.ban"`}, {"client", "an address or a range, as it is listed"}},
			answer: s.lift,
		},
		{
			method: "PUT", path: "/api/v1/groups/{name}", about: "have another member of a group of kind select serve", changes: true, body: Choice{},
			answer: s.choose,
		},
		{
			method: "GET", path: "/api/v1/reloads", about: "files that were served or refused, the latest last", result: []Reload{},
			answer: func(*http.Request) (any, error) { return s.source.Reloads(), nil },
		},
		{
			method: "POST", path: "/api/v1/reload/compare", about: "what a reload would change", changes: true, result: Change{},
			answer: func(r *http.Request) (any, error) { return s.source.Compare(r.Context()) },
		},
		{
			method: "POST", path: "/api/v1/reload", about: "serve the file anew", changes: true, body: Apply{},
			answer: s.apply,
		},
		{
			method: "GET", path: "/api/v1/log", about: "the last lines of the log", result: Log{},
			query:  []parameter{{"lines", "how many at most, up to 1000; 100 if it is left out"}},
			answer: s.log,
		},
	}
}

// Choice is the body of a request to choose a member.
type Choice struct {
	Member string `json:"member"`
}

// Apply is the body of a request to serve the file anew.
type Apply struct {
	Digest string `json:"digest"` // of the Change that was looked at
	By     string `json:"by"`     // "api" (also for "") or "page"
}

// Log is the last lines of the log.
type Log struct {
	Lines []string `json:"lines"`
}

// badRequest is an error of the request itself.
type badRequest struct{ error }

func bad(format string, args ...any) error { return badRequest{fmt.Errorf(format, args...)} }

// endpoint returns the handler of a path.
func (s *Server) endpoint(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if e.changes && !s.options.Write {
			refuse(w, http.StatusForbidden, "nothing may be changed here; set write = true in [admin]")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, mostBody)
		v, err := e.answer(r)
		_, isBad := errors.AsType[badRequest](err)
		switch {
		case isBad:
			refuse(w, http.StatusBadRequest, err.Error())
		case err != nil:
			refuse(w, statusOf(err), err.Error())
		case v == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeJSON(w, http.StatusOK, v)
		}
	}
}

// status returns the status with what this door allows.
func (s *Server) status() Status {
	st := s.source.Status()
	st.Write, st.Users = s.options.Write, s.options.Users
	return st
}

func (s *Server) connections(r *http.Request) (any, error) {
	f, err := s.filterOf(r.URL.Query())
	if err != nil {
		return nil, err
	}
	all := s.source.Connections(f)
	for i := range all.List {
		s.hide(&all.List[i].User)
	}
	return all, nil
}

func (s *Server) journeys(r *http.Request) (any, error) {
	q := r.URL.Query()
	f, err := s.filterOf(q)
	if err != nil {
		return nil, err
	}
	var after uint64
	if text := q.Get("after"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, bad("after %q: want a number", text)
		}
	}
	all := s.source.Journeys(f, after)
	for i := range all {
		s.hideUser(&all[i])
	}
	return all, nil
}

// users returns the users, without their names where those are not shown.
func (s *Server) users() []User {
	if !s.options.Users {
		return []User{}
	}
	return s.source.Users()
}

// hide removes the name of a user where names are not shown.
func (s *Server) hide(user *string) {
	if !s.options.Users {
		*user = ""
	}
}

func (s *Server) cut(r *http.Request) (any, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, bad("%q is no number of a connection", r.PathValue("id"))
	}
	if !s.source.Cut(id) {
		return nil, fmt.Errorf("connection %d: %w", id, ErrNotFound)
	}
	return nil, nil
}

func (s *Server) lift(r *http.Request) (any, error) {
	q := r.URL.Query()
	client, err := netip.ParsePrefix(q.Get("client"))
	if ip, ipErr := netip.ParseAddr(q.Get("client")); ipErr == nil {
		client, err = netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	if err != nil {
		return nil, bad("client %q: want an address or a range", q.Get("client"))
	}
	return nil, s.source.Lift(r.Context(), q.Get("policy"), client)
}

func (s *Server) choose(r *http.Request) (any, error) {
	var c Choice
	if err := readBody(r, &c); err != nil {
		return nil, err
	}
	return nil, s.source.Select(r.Context(), r.PathValue("name"), c.Member)
}

func (s *Server) apply(r *http.Request) (any, error) {
	var a Apply
	if err := readBody(r, &a); err != nil {
		return nil, err
	}
	if a.By != "page" {
		a.By = "api"
	}
	return nil, s.source.Apply(r.Context(), a.Digest, a.By)
}

func (s *Server) log(r *http.Request) (any, error) {
	n, err := number(r.URL.Query(), "lines", usualLimit)
	if err != nil {
		return nil, err
	}
	lines := s.source.Log(min(n, mostLimit))
	if !s.options.Users {
		for i := range lines {
			lines[i] = withoutUser(lines[i])
		}
	}
	return Log{lines}, nil
}

// readBody reads the JSON of a request.
func readBody(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return bad("body: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return bad("body: more than one value")
	}
	return nil
}

// filterOf reads the parameters of lists of connections.
func (s *Server) filterOf(q url.Values) (Filter, error) {
	f := Filter{
		Pipeline: q.Get("pipeline"), Network: q.Get("network"), User: q.Get("user"), Outbound: q.Get("outbound"),
		Text: strings.ToLower(q.Get("text")), Sort: q.Get("sort"), Failed: q.Get("failed") == "true", Whole: q.Get("whole") == "true",
	}
	switch strings.TrimPrefix(f.Sort, "-") {
	case "", "id", "up", "down", "bytes", "since":
	default:
		return f, bad("sort %q: want id, up, down, bytes or since", f.Sort)
	}
	if f.User != "" && !s.options.Users { // the answer would tell of a name
		return f, bad("user: names of users are not shown here; set users = true in [admin]")
	}
	if f.Network != "" && f.Network != "tcp" && f.Network != "udp" {
		return f, bad("network %q: want tcp or udp", f.Network)
	}
	var err error
	if f.Limit, err = number(q, "limit", usualLimit); err != nil {
		return f, err
	}
	most := mostLimit
	if s.options.Private {
		most = ownLimit
	}
	f.Limit = min(f.Limit, most)
	f.Offset, err = number(q, "offset", 0)
	return f, err
}

// number reads a parameter that is a number, 0 or more.
func number(q url.Values, name string, usual int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, bad("%s %q: want a number", name, text)
	}
	return n, nil
}
