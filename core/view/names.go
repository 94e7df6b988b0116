package view

import (
	"regexp"
	"strconv"
	"strings"
)

// unnamed stands for the name of a user where names are not shown.
const unnamed = "-"

// namesInLog are the places of a line of the log that have the name of a user: in its text
// form, in JSON, and in the text of an error. A line may be cut off within a name.
var namesInLog = regexp.MustCompile(`(\buser=)(?:"(?:[^"\\]|\\.)*"?|[^ ]*)|("user":\s*)"(?:[^"\\]|\\.)*"?|(\buser )\\?"[^"]*"?`)

// withoutUser returns a line of the log without the names of users.
func withoutUser(line string) string {
	return namesInLog.ReplaceAllStringFunc(line, func(found string) string {
		switch {
		case strings.HasPrefix(found, "user="):
			return "user=" + unnamed
		case strings.HasPrefix(found, "user "):
			return "user " + unnamed
		}
		return `"user":"` + unnamed + `"`
	})
}

// hideUser removes the name of a user from a journey where names are not shown.
func (s *Server) hideUser(j *Journey) {
	if s.options.Users || j.User == "" {
		return
	}
	name := strconv.Quote(j.User) // errors have it so
	j.Error = strings.ReplaceAll(j.Error, name, unnamed)
	for i := range j.Steps {
		j.Steps[i].Error = strings.ReplaceAll(j.Steps[i].Error, name, unnamed)
	}
	j.User = ""
}
