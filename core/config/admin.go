package config

import "fmt"

// AdminProblem places an error at a key of [admin].
func (f *File) AdminProblem(key string, err error) Problem {
	return f.src.problem(f.src.all[0].root.child(tableAdmin).child(key).value, join(tableAdmin, key), err.Error())
}

// checkAdmin records the mistakes of [admin] that one key alone does not show.
func (c *checker) checkAdmin(n *node) {
	a := &c.file.Admin
	if !a.Web.IsValid() {
		return
	}
	at := n.child("web").value
	switch {
	case (a.Cert == "") != (a.Key == ""):
		c.add(at, join(tableAdmin, "web"), "cert and key belong together; give both, or none")
	case !a.Web.Addr().IsLoopback() && (a.TokenFile == "" || a.Cert == ""):
		c.add(at, join(tableAdmin, "web"), "%s is not a loopback address, so anybody could look in and read along; add token_file, cert and key", a.Web.Addr())
	}
}

// warnOfAdmin warns of keys of [admin] that are for web, if that is not given.
func (c *checker) warnOfAdmin() {
	a := &c.file.Admin
	if a.Web.IsValid() {
		return
	}
	n := c.file.src.all[0].root.child(tableAdmin)
	for _, k := range []struct {
		key   string
		given bool
	}{
		{"token_file", a.TokenFile != ""}, {"cert", a.Cert != ""}, {"key", a.Key != ""}, {"hosts", len(a.Hosts) > 0},
		{"write", a.Write}, {"users", a.Users},
	} {
		if k.given {
			c.file.warn(n.child(k.key).value, join(tableAdmin, k.key), fmt.Sprintf("it is for web, which is not given; add web = %q", Web{}.Example()))
		}
	}
}
