package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Nginx runs nginx with lines of a server's configuration, and returns its port.
func Nginx(t testing.TB, server string) int {
	t.Helper()
	port, dir := FreePort(t), t.TempDir()
	path := filepath.Join(dir, "nginx.conf")
	file := fmt.Sprintf(`
daemon off;
master_process off;
worker_processes 1;
pid %[1]s/pid;
error_log stderr;
events { worker_connections 256; }
http {
	access_log off;
	server_tokens off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		%[3]s
	}
}
`, dir, Addr(port), server)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	Start(t, nil, Need(t, "nginx"), "-e", "stderr", "-p", dir, "-c", path).WaitListen(t, port)
	return port
}
