package sip003

import "os"

// variables are those of our environment that a plugin has too.
var variables = [...]string{
	"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG", "LD_LIBRARY_PATH",
	"SystemRoot", "TEMP", "TMP", "APPDATA", "LOCALAPPDATA", // of Windows
}

// inherited returns them, as NAME=VALUE.
func inherited() []string {
	var env []string
	for _, name := range variables {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
