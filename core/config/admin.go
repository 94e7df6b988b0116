package config

// AdminProblem places an error at a key of [admin].
func (f *File) AdminProblem(key string, err error) Problem {
	return f.src.problem(f.src.all[0].root.child(tableAdmin).child(key).value, join(tableAdmin, key), err.Error())
}

// checkAdmin records the mistakes of [admin] that one key alone does not show.
func (c *checker) checkAdmin(n *node) {
	a := &c.file.Admin
	at := func(key string) int { return n.child(key).value }
	switch {
	case !a.Web.IsValid():
		for key, given := range map[string]bool{"token_file": a.TokenFile != "", "cert": a.Cert != "", "key": a.Key != "", "write": a.Write} {
			if given {
				c.add(at(key), join(tableAdmin, key), "it is for web, which is not given; add web = %q", Web{}.Example())
			}
		}
	case (a.Cert == "") != (a.Key == ""):
		c.add(at("web"), join(tableAdmin, "web"), "cert and key belong together; give both, or none")
	case !a.Web.Addr().IsLoopback() && (a.TokenFile == "" || a.Cert == ""):
		c.add(at("web"), join(tableAdmin, "web"), "%s is not a loopback address, so anybody could look in and read along; add token_file, cert and key", a.Web.Addr())
	}
}
