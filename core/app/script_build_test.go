package app_test

import (
	"archive/zip"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// goCaches returns where the go command keeps what it has, which it could not tell
// without a home, and the root of this module.
func goCaches(t testing.TB) map[string]string {
	t.Helper()
	names := []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GOMOD"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	values := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	all := map[string]string{}
	for i, name := range names {
		all[name] = values[i]
	}
	all["SOURCE"] = filepath.Dir(all["GOMOD"])
	// A fresh machine has only what this test itself was built of.
	if out, err := exec.Command("go", "mod", "download").CombinedOutput(); err != nil {
		t.Fatalf("go mod download: %v\n%s", err, out)
	}
	delete(all, "GOMOD")
	return all
}

// publish makes a folder a version of a module in a proxy, which is a folder too.
func publish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: publish FOLDER MODULE VERSION PROXY")
	}
	folder, version := ts.MkAbs(args[0]), args[2]
	at := filepath.Join(ts.MkAbs(args[3]), args[1], "@v")
	ts.Check(os.MkdirAll(at, 0o755))
	out, err := os.Create(filepath.Join(at, version+".zip"))
	ts.Check(err)
	defer out.Close()
	z := zip.NewWriter(out)
	ts.Check(fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		w, err := z.Create(args[1] + "@" + version + "/" + name)
		if err != nil {
			return err
		}
		_, err = w.Write([]byte(ts.ReadFile(filepath.Join(folder, name))))
		return err
	}))
	ts.Check(z.Close())
	for name, text := range map[string]string{
		version + ".mod": ts.ReadFile(filepath.Join(folder, "go.mod")), version + ".info": `{"Version":"` + version + `"}`, "list": version + "\n",
	} {
		ts.Check(os.WriteFile(filepath.Join(at, name), []byte(text), 0o644))
	}
}
