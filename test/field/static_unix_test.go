//go:build unix

package field

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/test/peer"
)

// TestStaticBinary checks that the program of make build needs no library and no loader:
// it runs in an empty folder, as in an empty container, and finds names there.
func TestStaticBinary(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "umbra")
	cmd := exec.Command(peer.Need(t, "make"), "-C", "../..", "build", "BIN="+binary)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	f, err := elf.Open(binary)
	switch {
	case err != nil && runtime.GOOS == "linux":
		t.Fatal(err)
	case err != nil:
		t.Skipf("%v: only the form of Linux and the BSDs is known here", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program has the segment %s: it needs a loader", p.Type)
		}
	}
	if libraries, err := f.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("the program needs %q", libraries)
	}
	if os.Geteuid() != 0 {
		t.Skip("chroot requires root")
	}
	run := exec.Command("/umbra", "version")
	run.Dir, run.SysProcAttr = "/", &syscall.SysProcAttr{Chroot: filepath.Dir(binary)}
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("in an empty folder: %v\n%s", err, out)
	}
}
