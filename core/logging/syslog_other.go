//go:build windows || plan9

package logging

import (
	"errors"
	"os"
)

// OpenSyslog returns an error: this system has no syslog.
func OpenSyslog() (Sink, error) { return nil, errors.New("this system has no syslog") }

// inode returns "": this system has no journal of systemd.
func inode(*os.File) string { return "" }
